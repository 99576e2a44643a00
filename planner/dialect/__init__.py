"""Flink SQL as a dialect of sqlglot: text in, syntax tree out, and back.

In: Flink SQL, plus ``query EMIT CHANGES``, ``SUBSCRIBE name`` and the EXPLAIN details VERBOSE and GUARANTEES. Out:
sqlglot's own nodes wherever it has one of the same meaning, else those of `nodes`. Reading order: `words`, `tokens`,
`nodes`; the grammar from the bottom up (`parse_base`, `parse_types`, `parse_expressions`, `parse_functions`,
`parse_patterns`, `parse_tables`, `parse_queries`, `parse_create`, `parse_alter`, `parse_statements`); `generator`.

Names and positions
    Names are compared exactly; ``Identifier.quoted`` only says whether Flink needs back-ticks. An object's name is an
    ``exp.Table``, whatever the object. Identifiers, columns, literals, calls, types and statements carry ``meta``
    ``start`` and ``end``, inclusive offsets into the text.

Calls
    A call is ``exp.Anonymous(this=name as typed, expressions=args)``: nothing is renamed or reordered. DISTINCT wraps
    all arguments in one ``exp.Distinct``; ORDER BY inside makes the last one an ``exp.Order``; ``a => x`` is
    ``exp.Kwarg``; ``c.d.f(x)`` is ``exp.Dot(names, call)``. Around it, from the inside: ``exp.IgnoreNulls`` or
    ``RespectNulls``, ``exp.WithinGroup``, ``exp.Filter``, ``exp.Window``. With nodes of their own:

    =============================================  =============================================================
    CURRENT_DATE, CURRENT_TIME, CURRENT_TIMESTAMP  exp.CurrentDate, CurrentTime, CurrentTimestamp
    LOCALTIME, LOCALTIMESTAMP                      exp.Localtime, Localtimestamp
    CASE                                           exp.Case(this, ifs=[exp.If(this, true)], default)
    CAST, TRY_CAST                                 exp.Cast, exp.TryCast
    TIMESTAMP '...' (DATE, TIME)                   exp.Cast whose ``to`` has ``kind="LITERAL"``
    INTERVAL '...' unit [TO unit]                  exp.Interval(this=Literal, unit=Var or IntervalSpan)
    EXTRACT(unit FROM x)                           exp.Extract(this=Var, expression)
    FLOOR(x TO unit), CEIL(x TO unit)              exp.Floor, exp.Ceil(this, to=Var); without TO a plain call
    TIMESTAMPADD, TIMESTAMPDIFF                    plain calls with an exp.Var as the first argument
    TRIM                                           exp.Trim(this=text, expression=characters, position)
    SUBSTRING(x FROM a FOR b)                      a plain call with three arguments
    POSITION(x IN y)                               exp.StrPosition(this=y, substr=x)
    OVERLAY                                        exp.Overlay(this, expression, from_, for_)
    ARRAY[], MAP[], MULTISET[], ROW(), (a, b)      exp.Array, exp.Map(keys, values), Multiset, plain, exp.Tuple
    JSON_VALUE, JSON_QUERY, JSON_EXISTS            exp.JSONValue, JsonQuery, exp.JSONExists
    JSON_OBJECT, JSON_ARRAY and their ...AGG       exp.JSONObject, JSONArray, JSONObjectAgg, JSONArrayAgg
    EXISTS, ANY, SOME, ALL (query)                 exp.Exists, exp.Any, exp.Any, exp.All
    DESCRIPTOR(a), TABLE t ..., MODEL m            Descriptor, TableArgument, ModelArgument
    =============================================  =============================================================

Queries
    ``f(...)`` and ``TABLE(f(...))`` in FROM are ``exp.Table(this=call)``; LATERAL is ``exp.Lateral(this=call)``;
    UNNEST is ``exp.Unnest`` with ``offset=True`` for WITH ORDINALITY. FOR SYSTEM_TIME AS OF is
    ``table.args["version"]``, hints are ``exp.Hint`` in ``table.args["hints"]`` and ``select.args["hint"]``.
    MATCH_RECOGNIZE is MatchedTable. ROLLUP, CUBE and GROUPING SETS are elements of ``exp.Group.expressions``. ORDER
    BY, LIMIT and OFFSET sit on the outermost node of their query. ``TABLE t`` is ``SELECT * FROM t``.

Statements
    ``exp.Create`` (``kind``, ``properties``), ``exp.Alter`` (``actions``), ``exp.Drop``, ``exp.Insert``,
    ``exp.Update``, ``exp.Delete``, ``exp.TruncateTable``; the others in `nodes`.

Differs from Flink: reserved words are taken as names where nothing else is possible, so ``timestamp`` needs no
back-ticks; the generator writes them. ``INDEX_OFFSET`` is 0 though arrays count from 1: ``a[1]`` stays as written.

sqlglot's compiled build (``sqlglot[c]``) refuses parsers that are not its own; the dialect needs the ordinary one.
"""

from __future__ import annotations

from sqlglot.dialects.dialect import Dialect, NormalizationStrategy

from .generator import FlinkGenerator
from .parse_statements import StatementParser
from .tokens import FlinkTokenizer


class Flink(Dialect):
    """``sqlglot.parse(sql, read="flink")``; found through the entry point group ``sqlglot.dialects``."""

    NORMALIZATION_STRATEGY = NormalizationStrategy.CASE_SENSITIVE
    NORMALIZE_FUNCTIONS: bool | str = False
    INDEX_OFFSET = 0
    NULL_ORDERING = "nulls_are_small"
    TYPED_DIVISION = True
    SUPPORTS_USER_DEFINED_TYPES = False
    DPIPE_IS_STRING_CONCAT = False  # || is an operator like *, see `parse_expressions`

    Tokenizer = FlinkTokenizer
    Parser = StatementParser
    Generator = FlinkGenerator
