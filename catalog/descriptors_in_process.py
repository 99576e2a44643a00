"""The connector of tables that live in the program."""

from streamsql.changelog import ChangelogMode

from .connectors import SCAN_OPTIONS, ConnectorDescriptor, register_connector
from .options import ConfigOption

IN_PROCESS = register_connector(
    ConnectorDescriptor(
        "in-process",
        scan=True,
        sink=True,
        options=(
            ConfigOption(
                "bounded", "bool", False, "the table holds all its rows: reading ends after the last"
            ),
            ConfigOption(
                "changelog-mode",
                "enum",
                "I",
                "the changes that rows carry",
                choices=("I", "I,UA,D", "I,UB,UA,D"),
            ),
            ConfigOption(
                "lookup.cache",
                unsupported="a lookup join sees the rows as they are, without a cache",
            ),
            *SCAN_OPTIONS,
        ),
        sink_modes=(ChangelogMode.INSERT_ONLY, ChangelogMode.UPSERT, ChangelogMode.RETRACT),
        description="rows handed in from Python; made by env.from_arrow and env.create_in_process_table",
    )
)
