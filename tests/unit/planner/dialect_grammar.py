"""Random statements of Flink SQL for property tests: text only, meaning aside."""

from __future__ import annotations

from hypothesis import strategies as st

Text = st.SearchStrategy[str]

_NAMES = [
    "a",
    "price",
    "Ts",
    "_x1",
    "`offset`",
    "`my col`",
    "`group`",
    "`a``b`",
    "`ü`",
    "timestamp",
    "user_id",
]
_TABLES = ["t", "orders", "db.t", "cat.db.`order`", "`weird table`"]
_STRINGS = ["'x'", "''", "'it''s'", r"'\b\d+'", "'; -- no comment'", "'`'", "'Ünï'", r"U&'\263A'", r"E'a\tb'"]
_NUMBERS = ["0", "1", "42", "1.5", "1e10", "123456789012"]
_UNITS = ["SECOND", "MINUTE", "HOUR", "DAY", "MONTH", "YEAR", "DAY TO SECOND", "MINUTE TO SECOND", "DAY(3)"]
_FUNCTIONS = [
    "UPPER",
    "COALESCE",
    "my_udf",
    "TO_TIMESTAMP_LTZ",
    "GREATEST",
    "`strange f`",
    "LEFT",
    "JSON_STRING",
]
_AGGREGATES = ["COUNT", "SUM", "FIRST_VALUE", "LISTAGG"]
_SIMPLE_TYPES = [
    "INT", "BIGINT", "STRING", "BYTES", "BOOLEAN", "DOUBLE", "FLOAT", "DATE", "TIME(3)", "TIMESTAMP(3)",
    "TIMESTAMP_LTZ(3)", "DECIMAL(10, 2)", "CHAR(3)", "VARCHAR(10)", "VARBINARY(5)", "VARIANT",
]  # fmt: skip

names = st.sampled_from(_NAMES)
tables = st.sampled_from(_TABLES)
strings = st.sampled_from(_STRINGS)


def _list(items: Text, least: int = 1, most: int = 3) -> Text:
    return st.lists(items, min_size=least, max_size=most).map(", ".join)


def _fill(template: str, *parts: Text) -> Text:
    return st.tuples(*parts).map(lambda values: template.format(*values))


def _optional(text: Text) -> Text:
    return st.one_of(st.just(""), text.map(lambda value: f" {value}"))


def _nested_types(inner: Text) -> Text:
    element = st.one_of(inner, inner.map(lambda t: f"{t} NOT NULL"))
    return st.one_of(
        _fill("ARRAY<{}>", element),
        _fill("MAP<{}, {}>", element, element),
        _fill("MULTISET<{}>", element),
        _list(_fill("{} {}", names, element)).map(lambda fields: f"ROW<{fields}>"),
        _fill("{} ARRAY", inner),
    )


types = st.recursive(st.sampled_from(_SIMPLE_TYPES), _nested_types, max_leaves=4)

_leaves = st.one_of(
    names,
    _fill("{}.{}", names, names),
    strings,
    st.sampled_from(_NUMBERS),
    st.sampled_from(
        ["NULL", "TRUE", "FALSE", "CURRENT_TIMESTAMP", "PROCTIME()", "TIMESTAMP '2024-01-01 00:00:00'"]
    ),
    _fill("INTERVAL '1' {}", st.sampled_from(_UNITS)),
)


def _operations(inner: Text) -> Text:
    operator = st.sampled_from(["+", "-", "*", "/", "%", "||", "=", "<>", "<", ">=", "AND", "OR"])
    return st.one_of(
        _fill("{} {} {}", inner, operator, inner),
        _fill("({})", inner),
        _fill("NOT ({})", inner),
        _fill("-({})", inner),
        _fill("({} {})", inner, st.sampled_from(["IS NULL", "IS NOT TRUE", "IS UNKNOWN", "IS JSON ARRAY"])),
        _fill("(({}) IS NOT DISTINCT FROM {})", inner, inner),
        _fill("(({}) {}BETWEEN ({}) AND ({}))", inner, st.sampled_from(["", "NOT "]), inner, inner),
        _fill("(({}) {}IN ({}))", inner, st.sampled_from(["", "NOT "]), _list(inner)),
        _fill("(({}) {}LIKE {} ESCAPE '!')", inner, st.sampled_from(["", "NOT "]), strings),
        _fill("{}({})", st.sampled_from(_FUNCTIONS), _list(inner)),
        _fill("{}({}{})", st.sampled_from(_AGGREGATES), st.sampled_from(["", "DISTINCT "]), inner),
        _fill("SUM({}) OVER (PARTITION BY {} ORDER BY {})", inner, names, names),
        _fill("COUNT(*) FILTER (WHERE {})", inner),
        _fill("CASE WHEN {} THEN {} ELSE {} END", inner, inner, inner),
        _fill("CAST({} AS {})", inner, types),
        _fill("TRY_CAST({} AS {})", inner, types),
        _fill("EXTRACT(DAY FROM {})", inner),
        _fill("FLOOR({} TO HOUR)", inner),
        _fill("ARRAY[{}][1]", _list(inner)),
        _fill("MAP[{}, {}]", strings, inner),
        _fill("ROW({})", _list(inner)),
        _fill("JSON_VALUE({}, '$.x' RETURNING INT DEFAULT 0 ON EMPTY)", inner),
        _fill("TRIM(BOTH {} FROM {})", strings, inner),
    )


expressions = st.recursive(_leaves, _operations, max_leaves=8)

_sources = st.one_of(
    _fill("{}{}", tables, _optional(_fill("AS {}", names))),
    _fill("{} /*+ OPTIONS({} = {}) */ AS x", tables, strings, strings),
    _fill("TABLE(TUMBLE(TABLE {}, DESCRIPTOR({}), INTERVAL '1' HOUR))", tables, names),
    _fill("{} FOR SYSTEM_TIME AS OF {} AS x", tables, names),
)
_joins = st.one_of(
    st.just(""),
    _fill(" {} {} ON {}", st.sampled_from(["JOIN", "LEFT JOIN", "FULL OUTER JOIN"]), _sources, expressions),
    _fill(" CROSS JOIN UNNEST({}) WITH ORDINALITY AS u ({}, n)", names, names),
    _fill(", LATERAL TABLE(f({})) AS l ({})", expressions, names),
)
_items = st.one_of(expressions, _fill("{} AS {}", expressions, names), st.just("*"))

_selects = _fill(
    "SELECT {}{} FROM {}{}{}{}{}",
    st.sampled_from(["", "DISTINCT "]),
    _list(_items),
    _sources,
    _joins,
    _optional(_fill("WHERE {}", expressions)),
    _optional(_fill("GROUP BY {}", st.one_of(_list(expressions), st.just("ROLLUP (a, b), ()")))),
    _optional(_fill("HAVING {}", expressions)),
)


def _compound(inner: Text) -> Text:
    operation = st.sampled_from(["UNION ALL", "UNION", "INTERSECT", "EXCEPT ALL"])
    return st.one_of(
        _fill("({}) {} ({})", inner, operation, inner),
        _fill("SELECT * FROM ({}) AS s", inner),
        _fill("WITH c AS ({}) SELECT {} FROM c", inner, _list(_items)),
    )


queries = _fill(
    "{}{}{}",
    st.recursive(_selects, _compound, max_leaves=3),
    _optional(_fill("ORDER BY {} DESC, {} NULLS LAST", names, expressions)),
    st.sampled_from(["", " LIMIT 10", " LIMIT 10 OFFSET 5"]),
)

_columns = st.one_of(
    _fill(
        "{} {}{}{}", names, types, st.sampled_from(["", " NOT NULL"]), _optional(_fill("COMMENT {}", strings))
    ),
    _fill("{} AS {}", names, expressions),
    _fill(
        "{} {} METADATA{}{}",
        names,
        types,
        _optional(_fill("FROM {}", strings)),
        st.sampled_from(["", " VIRTUAL"]),
    ),
)
_options = _list(_fill("{} = {}", strings, strings)).map(lambda options: f"WITH ({options})")
create_tables = _fill(
    "CREATE TABLE {} ({}{}{}){}{}",
    tables,
    _list(_columns),
    st.one_of(st.just(""), _fill(", WATERMARK FOR {} AS {}", names, expressions)),
    st.one_of(st.just(""), _fill(", PRIMARY KEY ({}) NOT ENFORCED", _list(names))),
    _optional(_fill("PARTITIONED BY ({})", _list(names))),
    _optional(_options),
)
_inserts = _fill("INSERT INTO {}{} {}", tables, _optional(_fill("({})", _list(names))), queries)

statements = st.one_of(
    queries,
    create_tables,
    _inserts,
    _fill("CREATE TEMPORARY VIEW {} AS {}", tables, queries),
    _fill("EXPLAIN CHANGELOG_MODE {}", queries),
    st.lists(_inserts, min_size=1, max_size=2).map(
        lambda inserts: f"EXECUTE STATEMENT SET BEGIN {'; '.join(inserts)}; END"
    ),
)
