"""Physical plan nodes: what runs. Names and EXPLAIN text are Flink's.

A node declares the changelog its output carries and its upsert key. It never changes after planning;
:func:`~streamsql.planner.changelog_mode.assign_modes` builds the final tree.
"""

from .base import Key as Key
from .base import PassingMode as PassingMode
from .base import PhysicalNode as PhysicalNode
from .base import PhysicalPlan as PhysicalPlan
from .calc import Calc as Calc
from .calc import Correlate as Correlate
from .changelog import FromChangelog as FromChangelog
from .changelog import ToChangelog as ToChangelog
from .expand import Expand as Expand
from .groups import GroupAggregate as GroupAggregate
from .joins import IntervalJoin as IntervalJoin
from .joins import Join as Join
from .joins import JoinNode as JoinNode
from .joins import TemporalJoin as TemporalJoin
from .joins import WindowJoin as WindowJoin
from .lookup import LookupJoin as LookupJoin
from .match import Match as Match
from .over import OverAggregate as OverAggregate
from .ranks import Deduplicate as Deduplicate
from .ranks import Limit as Limit
from .ranks import Order as Order
from .ranks import OrderKey as OrderKey
from .ranks import Rank as Rank
from .ranks import RankRange as RankRange
from .ranks import Sort as Sort
from .ranks import SortLimit as SortLimit
from .ranks import TemporalSort as TemporalSort
from .ranks import WindowDeduplicate as WindowDeduplicate
from .ranks import WindowRank as WindowRank
from .ranks import order_text as order_text
from .sets import SetOperation as SetOperation
from .sets import Union as Union
from .sinks import Collect as Collect
from .sinks import Sink as Sink
from .sinks import SinkUpsertMaterializer as SinkUpsertMaterializer
from .sources import ChangelogNormalize as ChangelogNormalize
from .sources import TableSourceScan as TableSourceScan
from .sources import Values as Values
from .sources import WatermarkAssigner as WatermarkAssigner
from .windows import WindowAggregate as WindowAggregate
from .windows import WindowEmit as WindowEmit
from .windows import WindowTableFunction as WindowTableFunction
