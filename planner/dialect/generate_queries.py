"""Text of queries and expressions where Flink's form differs from sqlglot's default."""

from __future__ import annotations

from sqlglot import exp

from . import nodes
from .generate_ddl import DdlGenerator
from .words import needs_quotes

_UNPREFIXED = (exp.CurrentDate, exp.CurrentTime, exp.CurrentTimestamp, exp.Localtime, exp.Localtimestamp)
NO_PAREN_NAMES: dict[type[exp.Expr], str] = dict(
    zip(
        _UNPREFIXED,
        ("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP"),
        strict=True,
    )
)
_REPEATS: dict[tuple[str, str | None], str] = {("0", None): "*", ("1", None): "+", ("0", "1"): "?"}


class QueryGenerator(DdlGenerator):
    """Methods by node; `FlinkGenerator.TRANSFORMS` points at those of our own nodes."""

    def identifier_sql(self, expression: exp.Identifier) -> str:
        name: str = expression.name
        if self.identify is True or needs_quotes(name):
            return f"`{name.replace('`', '``')}`"
        return name

    # --- tables ---

    def table_sql(self, expression: exp.Table, sep: str = " AS ") -> str:
        args = expression.args
        this = args.get("this")
        if isinstance(this, (exp.Anonymous, exp.Dot)):
            text = f"TABLE({self.sql(this)})"
        else:
            text = self.table_parts(expression)
        hints = " ".join(self.sql(hint) for hint in args.get("hints") or ())
        alias = self.sql(expression, "alias")
        joins = "".join(self.sql(join) for join in args.get("joins") or ())
        text = self._words(text, hints, self.sql(expression, "version"))
        return f"{text}{sep}{alias}{joins}" if alias else f"{text}{joins}"

    def version_sql(self, expression: exp.Version) -> str:
        return f"FOR SYSTEM_TIME AS OF {self.sql(expression, 'expression')}"

    def lateral_sql(self, expression: exp.Lateral) -> str:
        this = expression.this
        source = f"TABLE({self.sql(this)})" if isinstance(this, (exp.Anonymous, exp.Dot)) else self.sql(this)
        alias = self.sql(expression, "alias")
        return self._words("LATERAL", source, f"AS {alias}" if alias else None)

    def hint_sql(self, expression: exp.Hint) -> str:
        text = f"/*+ {self.expressions(expression, flat=True)} */"
        return f" {text}" if isinstance(expression.parent, exp.Select) else text

    def property_sql(self, expression: exp.Property) -> str:
        if type(expression) is exp.Property:
            return self._option(expression)
        return super().property_sql(expression)

    def tablealias_sql(self, expression: exp.TableAlias) -> str:
        columns = self.expressions(expression, key="columns", flat=True)
        return f"{self.sql(expression, 'this')}({columns})" if columns else self.sql(expression, "this")

    def _matched_table(self, expression: nodes.MatchedTable) -> str:
        alias = self.sql(expression, "alias")
        match = expression.args["match"]
        parts = [
            self.partition_by_sql(match),
            self.sql(match, "order").strip(),
            f"MEASURES {self.expressions(match, key='measures', flat=True)}"
            if match.args.get("measures")
            else "",
            self.sql(match, "rows"),
            self.sql(match, "after"),
            self.sql(match, "pattern"),
            f"DEFINE {self._definitions(match)}" if match.args.get("define") else "",
        ]
        body = self._words(*parts)
        text = f"{self.sql(expression, 'this')} MATCH_RECOGNIZE ({body})"
        return f"{text} AS {alias}" if alias else text

    def _definitions(self, match: exp.MatchRecognize) -> str:
        return ", ".join(f"{self.sql(d, 'alias')} AS {self.sql(d, 'this')}" for d in match.args["define"])

    def matchrecognizemeasure_sql(self, expression: exp.MatchRecognizeMeasure) -> str:
        return self._words(expression.args.get("window_frame"), self.sql(expression, "this"))

    def _row_pattern(self, expression: nodes.RowPattern) -> str:
        within = self.sql(expression, "within")
        return self._words(
            f"PATTERN ({self.sql(expression, 'this')})", f"WITHIN {within}" if within else None
        )

    def _pattern_repeat(self, expression: nodes.PatternRepeat) -> str:
        minimum = self.sql(expression, "minimum")
        maximum = self.sql(expression, "maximum") or None
        quantifier = _REPEATS.get((minimum, maximum))
        if quantifier is None and minimum == maximum:
            quantifier = f"{{{minimum}}}"
        elif quantifier is None:
            quantifier = f"{{{minimum},{maximum or ''}}}"
        reluctant = "?" if expression.args.get("reluctant") else ""
        return f"{self.sql(expression, 'this')}{quantifier}{reluctant}"

    def _table_argument(self, expression: nodes.TableArgument) -> str:
        order = expression.args.get("order")
        return self._words(
            f"TABLE {self.sql(expression, 'this')}",
            self._one_or_list("PARTITION BY", expression.args.get("partition_by") or []),
            self._one_or_list("ORDER BY", order.expressions if order else []),
        )

    def _one_or_list(self, words: str, items: list[exp.Expr]) -> str:
        text = ", ".join(self.sql(item) for item in items)
        return f"{words} {f'({text})' if len(items) > 1 else text}" if items else ""

    # --- types and literals ---

    def datatype_sql(self, expression: exp.DataType) -> str:
        text = self._type_without_nullability(expression)
        return f"{text} NOT NULL" if expression.args.get("nullable") is False else text

    def _type_without_nullability(self, expression: exp.DataType) -> str:
        this, members = expression.this, self.expressions(expression, flat=True)
        if isinstance(this, exp.Interval):
            return f"INTERVAL {self.sql(this, 'unit')}"
        if this == exp.DType.USERDEFINED:
            kind = expression.args.get("kind") or "STRING"
            if kind == "RAW":
                return f"RAW({members})"
            return f"{kind}<{members}>" if members else str(kind)
        if this == exp.DType.STRUCT:
            return f"ROW<{members}>"
        if this in (exp.DType.ARRAY, exp.DType.MAP):
            return f"{this.value}<{members}>"
        if this == exp.DType.TIMESTAMPTZ:
            return f"TIMESTAMP({members}) WITH TIME ZONE" if members else "TIMESTAMP WITH TIME ZONE"
        name = str(self.TYPE_MAPPING.get(this, this.value if isinstance(this, exp.DType) else this))
        return f"{name}({members})" if members else name

    def cast_sql(self, expression: exp.Cast, safe_prefix: str | None = None) -> str:
        to = expression.args["to"]
        if to.args.get("kind") == "LITERAL":
            return f"{to.this.value} {self.sql(expression, 'this')}"
        return f"{safe_prefix or ''}CAST({self.sql(expression, 'this')} AS {self.sql(to)})"

    def trycast_sql(self, expression: exp.TryCast) -> str:
        return self.cast_sql(expression, safe_prefix="TRY_")

    def interval_sql(self, expression: exp.Interval) -> str:
        return f"INTERVAL {self.sql(expression, 'this')} {self.sql(expression, 'unit')}"

    def intervalspan_sql(self, expression: exp.IntervalSpan) -> str:
        return f"{self.sql(expression, 'this')} TO {self.sql(expression, 'expression')}"

    def hexstring_sql(self, expression: exp.HexString, binary_function_repr: str | None = None) -> str:
        # sqlglot keeps the digits as they were typed
        return f"X'{expression.name}'"

    # --- calls ---

    def anonymous_sql(self, expression: exp.Anonymous) -> str:
        return f"{self.sql(expression, 'this')}({self._list(expression)})"

    def _no_paren(self, expression: exp.Expr) -> str:
        return NO_PAREN_NAMES[type(expression)]

    def filter_sql(self, expression: exp.Filter) -> str:
        condition = self.sql(expression.args["expression"], "this")
        return f"{self.sql(expression, 'this')} FILTER (WHERE {condition})"

    def kwarg_sql(self, expression: exp.Kwarg) -> str:
        return f"{self.sql(expression, 'this')} => {self.sql(expression, 'expression')}"

    def array_sql(self, expression: exp.Array) -> str:
        return f"ARRAY[{self._list(expression)}]"

    def _map(self, expression: exp.Map) -> str:
        keys, values = expression.args["keys"].expressions, expression.args["values"].expressions
        pairs = (f"{self.sql(key)}, {self.sql(value)}" for key, value in zip(keys, values, strict=True))
        return f"MAP[{', '.join(pairs)}]"

    def trim_sql(self, expression: exp.Trim) -> str:
        position = expression.args.get("position")
        text = self.sql(expression, "this")
        if not position:
            return f"TRIM({text})"
        return f"TRIM({self._words(position, self.sql(expression, 'expression'), 'FROM', text)})"

    def overlay_sql(self, expression: exp.Overlay) -> str:
        length = self.sql(expression, "for_")
        head = f"{self.sql(expression, 'this')} PLACING {self.sql(expression, 'expression')}"
        return f"OVERLAY({head} FROM {self.sql(expression, 'from_')}{f' FOR {length}' if length else ''})"

    def strposition_sql(self, expression: exp.StrPosition) -> str:
        return f"POSITION({self.sql(expression, 'substr')} IN {self.sql(expression, 'this')})"

    def extract_sql(self, expression: exp.Extract) -> str:
        return f"EXTRACT({self.sql(expression, 'this')} FROM {self.sql(expression, 'expression')})"

    def ceil_floor(self, expression: exp.Ceil | exp.Floor) -> str:
        name = "CEIL" if isinstance(expression, exp.Ceil) else "FLOOR"
        return f"{name}({self.sql(expression, 'this')} TO {self.sql(expression, 'to')})"

    def is_sql(self, expression: exp.Is) -> str:
        return f"{self.sql(expression, 'this')} IS {self.sql(expression, 'expression')}"

    def not_sql(self, expression: exp.Not) -> str:
        """``a IS NOT x``, ``a NOT IN (...)`` where the operator has such a form."""
        this = expression.this
        if isinstance(this, exp.Is):
            return f"{self.sql(this, 'this')} IS NOT {self.sql(this, 'expression')}"
        if isinstance(this, (exp.In, exp.Between, exp.SimilarTo)):
            left = self.sql(this, "this")
            return f"{left} NOT{self.sql(this).removeprefix(left)}"
        return f"NOT {self.sql(this)}"

    # --- JSON ---

    def _json_call(self, name: str, expression: exp.Expr) -> str:
        returning = self.sql(expression, "returning")
        text = self._words(
            f"{self.sql(expression, 'this')}, {self.sql(expression, 'path')}",
            f"RETURNING {returning}" if returning else None,
            expression.args.get("wrapper"),
            self.sql(expression, "on_condition"),
        )
        return f"{name}({text})"

    def jsonvalue_sql(self, expression: exp.JSONValue) -> str:
        return self._json_call("JSON_VALUE", expression)

    def jsonexists_sql(self, expression: exp.JSONExists) -> str:
        return self._json_call("JSON_EXISTS", expression)

    def _json_query(self, expression: nodes.JsonQuery) -> str:
        return self._json_call("JSON_QUERY", expression)

    def oncondition_sql(self, expression: exp.OnCondition) -> str:
        parts = []
        for key in ("empty", "error"):
            action = expression.args.get(key)
            if isinstance(action, exp.Expr):
                parts.append(f"DEFAULT {self.sql(action)} ON {key.upper()}")
            elif action:
                parts.append(str(action))
        return " ".join(parts)

    def _json_list(self, name: str, expression: exp.Expr) -> str:
        return f"{name}({self._words(self._list(expression), expression.args.get('null_handling'))})"

    def jsonobject_sql(self, expression: exp.JSONObject | exp.JSONObjectAgg) -> str:
        return self._json_list("JSON_OBJECT", expression)

    def jsonobjectagg_sql(self, expression: exp.JSONObjectAgg) -> str:
        return self._json_list("JSON_OBJECTAGG", expression)

    def jsonarray_sql(self, expression: exp.JSONArray) -> str:
        return self._json_list("JSON_ARRAY", expression)

    def jsonarrayagg_sql(self, expression: exp.JSONArrayAgg) -> str:
        order = self.sql(expression, "order").strip()
        text = self._words(self.sql(expression, "this"), order, expression.args.get("null_handling"))
        return f"JSON_ARRAYAGG({text})"

    def jsonkeyvalue_sql(self, expression: exp.JSONKeyValue) -> str:
        return f"KEY {self.sql(expression, 'this')} VALUE {self.sql(expression, 'expression')}"

    def formatjson_sql(self, expression: exp.FormatJson) -> str:
        return f"{self.sql(expression, 'this')} FORMAT JSON"

    # --- INSERT ---

    def insert_sql(self, expression: exp.Insert) -> str:
        into = "INSERT OVERWRITE" if expression.args.get("overwrite") else "INSERT INTO"
        target = expression.this
        table = target.this if isinstance(target, exp.Schema) else target
        columns = self._in_parens(target) if isinstance(target, exp.Schema) else None
        head = self._words(into, self.sql(table), self.sql(expression, "partition"), columns)
        tail = self.sql(expression, "conflict")
        query = self.sql(expression, "expression")
        return f"{head}{self.sep()}{query}{f'{self.sep()}{tail}' if tail else ''}"

    def onconflict_sql(self, expression: exp.OnConflict) -> str:
        return f"ON CONFLICT {self.sql(expression, 'action')}"
