"""The words of Flink SQL: what must be quoted, what can start a statement, what a typing error may have
meant.

Pure data: importing it costs nothing, so that completion and error messages can use it too.

Source: Flink's SQL parser (reserved words of Calcite plus Flink's own).
"""

from __future__ import annotations

import re

_RESERVED = """
    abs all allocate allow alter and any are array array_max_cardinality as asensitive asymmetric at atomic
    authorization avg begin begin_frame begin_partition between bigint binary bit blob boolean both by bytes
    call called cardinality cascaded case cast catalogs ceil ceiling char character character_length
    char_length check classifier clob close coalesce collate collect column commit condition connect
    constraint contains convert corr corresponding count covar_pop covar_samp create cross cube cume_dist
    current current_catalog current_date current_default_transform_group current_path current_role
    current_row current_schema current_time current_timestamp current_transform_group_for_type current_user
    cursor cycle databases date datetime day deallocate dec decimal declare default define delete dense_rank
    deref desc describe descriptor deterministic disallow disconnect distinct double drop dynamic each
    element else empty end end_frame end_partition enforced equals escape every except exec execute exists
    exp explain extend extended external extract false fetch filter first_value float floor for foreign
    frame_row free from full function functions fusion get global grant group grouping groups having hold
    hop hour identity ilike import in indicator initial inner inout insensitive insert int integer intersect
    intersection interval into is join json_array json_arrayagg json_exists json_object json_objectagg
    json_query json_value lag language large last_value lateral lead leading left like like_regex limit ln
    local localtime localtimestamp lower map match matches match_number match_recognize max measures member
    merge metadata method min minus minute mod modifies modify module modules month multiset national
    natural nchar nclob new next no none normalize not nth_value ntile null nullif numeric occurrences_regex
    octet_length of offset old omit on one only open or order ordinal out outer over overlaps overlay
    overwrite parameter partition partitioned partitions pattern per percent percentile_cont percentile_disc
    percent_rank period permute portion position position_regex power precedes precision prepare prev
    primary procedure qualify range rank raw reads real recursive ref references referencing regr_avgx
    regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy release rename reset
    result return returns revoke right rlike rollback rollup row rows row_number running savepoint scala
    scope scroll search second seek select sensitive session session_user set show similar skip smallint
    some specific specifictype sql sqlexception sqlstate sqlwarning sqrt start statement static stddev_pop
    stddev_samp stream string submultiset subset substring substring_regex succeeds sum symmetric system
    system_time system_user table tablesample tables then time timestamp timestampadd timestampdiff
    timestamp_ltz timezone_hour timezone_minute tinyint to trailing translate translate_regex translation
    treat trigger trim trim_array true truncate try_cast uescape union unique unknown unnest update upper
    upsert use user using value values value_of varbinary varchar variant varying var_pop var_samp
    versioning views virtual watermark watermarks when whenever where width_bucket window with within
    without year
"""
RESERVED: frozenset[str] = frozenset(_RESERVED.split())
"""Lower-case words that must stand in back-ticks where a name is meant."""

SAFE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
"""Names that need no back-ticks unless they are reserved."""

STATEMENT_WORDS: tuple[str, ...] = (
    "SELECT", "WITH", "VALUES", "TABLE", "INSERT", "EXECUTE", "CREATE", "REPLACE", "ALTER", "DROP",
    "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "SET", "RESET", "USE", "BEGIN", "END", "STOP", "ADD", "REMOVE",
    "LOAD", "UNLOAD", "CALL", "ANALYZE", "COMPILE", "UPDATE", "DELETE", "TRUNCATE", "SUBSCRIBE",
)  # fmt: skip
"""The words a statement can start with."""

CLAUSE_WORDS: tuple[str, ...] = (
    "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FETCH", "JOIN", "LEFT", "RIGHT",
    "FULL", "INNER", "CROSS", "NATURAL", "ON", "USING", "UNION", "INTERSECT", "EXCEPT", "WINDOW",
    "QUALIFY", "AS", "AND", "OR", "NOT", "BETWEEN", "LIKE", "IN", "IS", "DISTINCT", "PARTITION", "OVER",
    "FILTER", "EMIT", "VALUES", "INTO", "WITH", "PRIMARY", "WATERMARK", "COMMENT", "METADATA", "VIRTUAL",
    "PARTITIONED", "DISTRIBUTED", "TABLE", "VIEW", "DATABASE", "CATALOG", "FUNCTION", "TEMPORARY",
    "EXISTS",
)  # fmt: skip
"""The words that go on inside a statement; a misspelt one is usually read as an alias first."""


def needs_quotes(name: str) -> bool:
    """Whether ``name`` must stand in back-ticks.

    >>> needs_quotes("price"), needs_quotes("offset"), needs_quotes("my col")
    (False, True, True)
    """
    return SAFE_NAME.match(name) is None or name.lower() in RESERVED
