"""What a cut of a job holds: plain values and references to Arrow tables, taken between two steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ..connectors.base import Prepared

Tables = Mapping[str, pa.Table]
"""The tables of one state, named as its ``snapshot`` or ``changes`` names them."""


@dataclass(frozen=True)
class SourceSnapshot:
    """``clocks``: JSON of the splits' watermarks; ``carry``: rows polled but not yet given to a step."""

    fingerprint: str
    name: str
    positions: Mapping[str, str]
    memory: Mapping[str, str] = field(default_factory=dict[str, str])
    clocks: Mapping[str, Any] = field(default_factory=dict[str, Any])
    carry: Tables = field(default_factory=dict[str, pa.Table])


@dataclass(frozen=True)
class OperatorSnapshot:
    """``fingerprint`` says what it computes, ``description`` says it to people; ``clocks``: JSON of its watermarks."""

    fingerprint: str
    name: str
    description: str
    clocks: Mapping[str, Any]
    states: Mapping[str, Tables]


@dataclass(frozen=True)
class SinkSnapshot:
    """``fingerprint`` names the table that is written and the place of this INSERT among those into it."""

    fingerprint: str
    name: str
    prepared: Prepared = field(default_factory=Prepared)


@dataclass(frozen=True)
class JobSnapshot:
    """A cut. ``changes``: keyed tables hold what changed since the cut before, else everything.

    ``run``: names the attempt that took it. ``engine``: the versions of the programs that took it, for
    people. ``definition``: what the job is (statement, options, tables), JSON. ``finished``: the job had come to its
    end.
    """

    number: int
    run: str
    job_id: str
    job_name: str
    time_ms: int
    sources: tuple[SourceSnapshot, ...]
    operators: tuple[OperatorSnapshot, ...]
    sinks: tuple[SinkSnapshot, ...]
    engine: Mapping[str, Any] = field(default_factory=dict[str, Any])
    transaction: Mapping[str, Any] | None = None
    definition: Mapping[str, Any] = field(default_factory=dict[str, Any])
    changes: bool = False
    finished: bool = False
