"""Function calls: ``exp.Anonymous`` with the name as written, unless the call has a syntax of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from .nodes import Descriptor, JsonQuery, ModelArgument, Multiset, TableArgument
from .parse_base import identifier
from .parse_expressions import ExpressionParser
from .tokens import TYPE_TOKENS
from .words import needs_quotes

_SUBQUERY_CALLS: dict[TokenType, type[exp.Expr]] = {
    TokenType.EXISTS: exp.Exists,
    TokenType.ANY: exp.Any,
    TokenType.SOME: exp.Any,
    TokenType.ALL: exp.All,
}
_FRAME_SIDES = ("PRECEDING", "FOLLOWING")


class FunctionParser(ExpressionParser):
    """Adds calls, their special forms, FILTER, WITHIN GROUP and OVER."""

    FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
    FUNC_TOKENS: ClassVar[set[TokenType]] = {
        *TYPE_TOKENS.values(),
        TokenType.VAR,
        TokenType.IDENTIFIER,
        TokenType.LEFT,
        TokenType.RIGHT,
        TokenType.ROW,
        TokenType.FIRST,
        TokenType.NEXT,
    }
    NO_PAREN_FUNCTIONS: ClassVar[dict[TokenType, type[exp.Expr]]] = {
        TokenType.CURRENT_DATE: exp.CurrentDate,
        TokenType.CURRENT_TIME: exp.CurrentTime,
        TokenType.CURRENT_TIMESTAMP: exp.CurrentTimestamp,
        TokenType.LOCALTIME: exp.Localtime,
        TokenType.LOCALTIMESTAMP: exp.Localtimestamp,
    }
    NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CASE": lambda self: self._parse_case()}
    FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        "CAST": lambda self: self._cast(exp.Cast),
        "TRY_CAST": lambda self: self._cast(exp.TryCast),
        "EXTRACT": lambda self: self._extract(),
        "CEIL": lambda self: self._rounding(exp.Ceil),
        "CEILING": lambda self: self._rounding(exp.Ceil),
        "FLOOR": lambda self: self._rounding(exp.Floor),
        "TRIM": lambda self: self._trim(),
        "SUBSTRING": lambda self: self._substring(),
        "OVERLAY": lambda self: self._overlay(),
        "POSITION": lambda self: self._position(),
        "TIMESTAMPADD": lambda self: self._with_unit(),
        "TIMESTAMPDIFF": lambda self: self._with_unit(),
        "DESCRIPTOR": lambda self: self._descriptor(),
        "JSON_VALUE": lambda self: self._json_value(),
        "JSON_QUERY": lambda self: self._json_query(),
        "JSON_EXISTS": lambda self: self._json_exists(),
        "JSON_OBJECT": lambda self: self._json_object(exp.JSONObject),
        "JSON_OBJECTAGG": lambda self: self._json_object(exp.JSONObjectAgg),
        "JSON_ARRAY": lambda self: self._json_array(),
        "JSON_ARRAYAGG": lambda self: self._json_array_aggregate(),
    }

    def _parse_function(
        self,
        functions: dict[str, Callable[..., Any]] | None = None,
        anonymous: bool = False,
        optional_parens: bool = True,
        any_token: bool = False,
    ) -> exp.Expr | None:
        return self._parse_function_call(functions, anonymous, optional_parens, any_token)

    def _parse_function_call(
        self,
        functions: dict[str, Callable[..., Any]] | None = None,
        anonymous: bool = False,
        optional_parens: bool = True,
        any_token: bool = False,
    ) -> exp.Expr | None:
        token = self._curr
        after_dot = self._prev.token_type == TokenType.DOT
        if self._next.token_type != TokenType.L_PAREN or token.token_type == TokenType.CASE:
            return None if after_dot or not optional_parens else self._call_without_parens(token)
        if token.token_type in _SUBQUERY_CALLS:
            return self._subquery_call(token)
        if token.token_type in self.NO_PAREN_FUNCTIONS:
            raise self._error(f"{token.text} stands without parentheses")
        if token.token_type not in self.FUNC_TOKENS:
            return None
        self._advance(2)
        special = (
            None
            if token.token_type == TokenType.IDENTIFIER
            else self.FUNCTION_PARSERS.get(token.text.upper())
        )
        node = special(self) if special and not after_dot else self._plain_call(token)
        self._match_r_paren(node)
        self._span(node, token)
        return self._parse_window(node)

    def _call_without_parens(self, token: Token) -> exp.Expr | None:
        if token.token_type == TokenType.CASE:
            self._advance()
            return self._span(self._parse_case(), token)
        if token.token_type in self.NO_PAREN_FUNCTIONS:
            self._advance()
            return self._span(self.NO_PAREN_FUNCTIONS[token.token_type](), token)
        if self._next.token_type == TokenType.L_BRACKET:
            return self._constructor(token)
        return None

    def _constructor(self, token: Token) -> exp.Expr | None:
        """``ARRAY[...]``, ``MAP[k, v, ...]``, ``MULTISET[...]``."""
        word = token.text.upper() if token.token_type != TokenType.IDENTIFIER else ""
        if word not in ("ARRAY", "MAP", "MULTISET"):
            return None
        self._advance(2)
        items = self._parse_csv(self._parse_disjunction)
        self._need_token(TokenType.R_BRACKET, "]")
        if word == "ARRAY":
            return self._span(exp.Array(expressions=items), token)
        if word == "MULTISET":
            return self._span(Multiset(expressions=items), token)
        if len(items) % 2:
            raise self._error("expected a value for every key of MAP[...]", self._prev)
        keys, values = exp.Array(expressions=items[::2]), exp.Array(expressions=items[1::2])
        return self._span(exp.Map(keys=keys, values=values), token)

    def _subquery_call(self, token: Token) -> exp.Expr:
        self._advance(2)
        query = self._parse_select()
        if query is None:
            raise self._error(f"expected a query in {token.text.upper()} (...)")
        self._match_r_paren()
        return self._span(_SUBQUERY_CALLS[token.token_type](this=query), token)

    # --- plain calls and their arguments ---

    def _plain_call(self, token: Token) -> exp.Expr:
        """``name([DISTINCT] args [ORDER BY ...] [IGNORE NULLS])``."""
        distinct = self._match(TokenType.DISTINCT)
        if not distinct:
            self._match(TokenType.ALL)  # the default
        args = self._parse_csv(self._argument)
        if args and self._curr.token_type == TokenType.ORDER_BY:
            args[-1] = self._parse_order(args[-1]) or args[-1]
        if distinct:
            if not args:
                raise self._error("expected an expression after DISTINCT")
            args = [self.expression(exp.Distinct(expressions=args))]
        quoted = token.token_type == TokenType.IDENTIFIER and needs_quotes(token.text)
        name = identifier(token.text).update_positions(token) if quoted else token.text
        call = exp.Anonymous(this=name, expressions=args)
        return self._null_treatment(self._span(call, token))

    def _parse_function_args(self, alias: bool = False) -> list[exp.Expr]:
        return self._parse_csv(self._argument)

    def _argument(self) -> exp.Expr | None:
        if self._next.token_type == TokenType.FARROW:
            name = self._name("the name of an argument")
            self._advance()
            value = self._argument()
            if value is None:
                raise self._error("expected a value after =>")
            return self._span(exp.Kwarg(this=name, expression=value), name)
        token = self._curr
        if token.token_type == TokenType.TABLE:
            return self._table_argument()
        if self._next.token_type in self.IDENTIFIER_TOKENS and self._take("MODEL"):
            return self._span(ModelArgument(this=self._object_name("a model name")), token)
        if self._match(TokenType.DEFAULT):
            return self.expression(exp.var("DEFAULT"), token)
        value = self._parse_disjunction()
        if isinstance(value, exp.Subquery) and self._curr.token_type in (
            TokenType.PARTITION_BY,
            TokenType.ORDER_BY,
        ):
            return self._partitioned_argument(value, token)
        return value

    def _table_argument(self) -> exp.Expr:
        token = self._need_token(TokenType.TABLE, "TABLE")
        table: exp.Expr | None
        if self._curr.token_type == TokenType.L_PAREN:
            table = self._parse_paren()
            if not isinstance(table, exp.Subquery):
                raise self._error("expected a query in TABLE (...)", token)
        else:
            table = self._object_name()
            self._table_hints(table)
        return self._partitioned_argument(table, token)

    def _partitioned_argument(self, table: exp.Expr, token: Token) -> exp.Expr:
        """``PARTITION BY k`` or ``PARTITION BY (a, b)``; without parentheses a comma ends the argument."""
        partition_by = order = None
        if self._match(TokenType.PARTITION_BY):
            partition_by = self._one_or_list(self._operand)
        if self._match(TokenType.ORDER_BY):
            keys = self._one_or_list(self._ordered)
            order = self.expression(exp.Order(expressions=keys))
        return self._span(TableArgument(this=table, partition_by=partition_by, order=order), token)

    def _one_or_list(self, parse_method: Callable[[], exp.Expr]) -> list[exp.Expr]:
        if self._curr.token_type == TokenType.L_PAREN:
            return self._csv_in_parens(parse_method)
        return [parse_method()]

    def _ordered(self) -> exp.Expr:
        key = self._parse_ordered()
        if key is None:
            raise self._error("expected an expression after ORDER BY")
        return key

    def _table_hints(self, table: exp.Table) -> None:
        """Filled in by the query grammar."""
        raise NotImplementedError

    def _null_treatment(self, call: exp.Expr) -> exp.Expr:
        if self._take("IGNORE", "NULLS"):
            return self.expression(exp.IgnoreNulls(this=call))
        if self._take("RESPECT", "NULLS"):
            return self.expression(exp.RespectNulls(this=call))
        return call

    # --- FILTER, WITHIN GROUP, OVER ---

    def _parse_window(self, this: exp.Expr | None, alias: bool = False) -> exp.Expr | None:
        if this is None:
            return None
        if not isinstance(this, (exp.IgnoreNulls, exp.RespectNulls)):
            this = self._null_treatment(this)
        if self._take("WITHIN", "GROUP"):
            self._match_l_paren()
            this = self.expression(exp.WithinGroup(this=this, expression=self._parse_order()))
            self._match_r_paren()
        if self._match_pair(TokenType.FILTER, TokenType.L_PAREN):
            self._need_token(TokenType.WHERE, "WHERE")
            condition = self.expression(exp.Where(this=self._condition()))
            this = self.expression(exp.Filter(this=this, expression=condition))
            self._match_r_paren()
        if not self._match(TokenType.OVER):
            return this
        if self._curr.token_type == TokenType.L_PAREN:
            return self._window_specification(this, over=True)
        return self.expression(exp.Window(this=this, alias=self._name("a window name"), over="OVER"))

    def _window_specification(self, this: exp.Expr, over: bool) -> exp.Window:
        self._match_l_paren()
        base = self._parse_id_var(any_token=False, tokens={TokenType.VAR, TokenType.IDENTIFIER})
        partition_by = self._parse_csv(self._parse_disjunction) if self._match(TokenType.PARTITION_BY) else []
        order = self._parse_order()
        spec = self._window_frame() if self._match_set((TokenType.ROWS, TokenType.RANGE)) else None
        self._match_r_paren()
        window = exp.Window(
            this=this,
            partition_by=partition_by,
            order=order,
            spec=spec,
            alias=base,
            over="OVER" if over else None,
        )
        return self.expression(window)

    def _window_frame(self) -> exp.WindowSpec:
        kind = self._prev.text.upper()
        both = self._match(TokenType.BETWEEN)
        start, start_side = self._frame_bound()
        end: exp.Expr | str = "CURRENT ROW"  # the default
        end_side: str | None = None
        if both:
            self._need_token(TokenType.AND, "AND and the end of the frame")
            end, end_side = self._frame_bound()
        spec = exp.WindowSpec(kind=kind, start=start, start_side=start_side, end=end, end_side=end_side)
        return self.expression(spec)

    def _frame_bound(self) -> tuple[exp.Expr | str, str | None]:
        if self._take("CURRENT", "ROW"):
            return "CURRENT ROW", None
        value: exp.Expr | str = "UNBOUNDED" if self._take("UNBOUNDED") else self._operand()
        return value, self._need_any(*_FRAME_SIDES)

    def _parse_named_window(self) -> exp.Expr:
        name = self._name("a window name")
        self._need_token(TokenType.ALIAS, "AS")
        return self._window_specification(name, over=False)

    # --- calls with a syntax of their own ---

    def _cast(self, kind: type[exp.Cast]) -> exp.Expr:
        value = self._condition()
        self._need_token(TokenType.ALIAS, "AS and a type")
        return kind(this=value, to=self._type())

    def _unit(self) -> exp.Var:
        token = self._curr
        if token.token_type not in self.FUNC_TOKENS:
            raise self._error("expected a unit of time such as DAY")
        self._advance()
        return self.expression(exp.var(token.text.upper()), token)

    def _extract(self) -> exp.Expr:
        unit = self._unit()
        self._need_token(TokenType.FROM, "FROM")
        return exp.Extract(this=unit, expression=self._condition())

    def _rounding(self, kind: type[exp.Expr]) -> exp.Expr:
        """``FLOOR(x TO unit)`` is exp.Floor, ``FLOOR(x)`` a plain call."""
        name = self._tokens[self._index - 2]
        args = self._parse_csv(self._argument)
        if len(args) == 1 and self._take("TO"):
            return kind(this=args[0], to=self._unit())
        return exp.Anonymous(this=name.text, expressions=args)

    def _trim(self) -> exp.Expr:
        position = self._take_any("BOTH", "LEADING", "TRAILING")
        first = None if self._curr.token_type == TokenType.FROM else self._condition()
        if self._match(TokenType.FROM):
            return exp.Trim(this=self._condition(), expression=first, position=position or "BOTH")
        if position:
            raise self._error("expected FROM")
        return exp.Trim(this=first)

    def _substring(self) -> exp.Expr:
        """Both forms give a plain call with arguments text, start[, length]."""
        name = self._tokens[self._index - 2]
        args = [self._condition()]
        if self._match(TokenType.FROM):
            args.append(self._condition())
            if self._match(TokenType.FOR):
                args.append(self._condition())
        elif self._match(TokenType.COMMA):
            args.extend(self._parse_csv(self._condition))
        return exp.Anonymous(this=name.text, expressions=args)

    def _overlay(self) -> exp.Expr:
        text = self._condition()
        self._need("PLACING")
        replacement = self._condition()
        self._need_token(TokenType.FROM, "FROM")
        start = self._condition()
        length = self._condition() if self._match(TokenType.FOR) else None
        return exp.Overlay(this=text, expression=replacement, from_=start, for_=length)

    def _position(self) -> exp.Expr:
        needle = self._operand()
        self._need_token(TokenType.IN, "IN")
        return exp.StrPosition(this=self._operand(), substr=needle)

    def _with_unit(self) -> exp.Expr:
        """``TIMESTAMPADD(unit, n, t)``: a plain call whose first argument is an exp.Var."""
        name = self._tokens[self._index - 2]
        args: list[exp.Expr] = [self._unit()]
        while self._match(TokenType.COMMA):
            args.append(self._condition())
        return exp.Anonymous(this=name.text, expressions=args)

    def _descriptor(self) -> exp.Expr:
        return Descriptor(expressions=self._parse_csv(lambda: self._name("a column name")))

    # --- JSON ---

    def _json_path(self) -> exp.Expr:
        self._need_token(TokenType.COMMA, "',' and a JSON path")
        return self._condition()

    def _json_value(self) -> exp.Expr:
        this, path = self._condition(), self._json_path()
        returning = self._column_type() if self._match(TokenType.RETURNING) else None
        return exp.JSONValue(this=this, path=path, returning=returning, on_condition=self._on_condition())

    def _json_query(self) -> exp.Expr:
        this, path = self._condition(), self._json_path()
        returning = self._column_type() if self._match(TokenType.RETURNING) else None
        wrapper = None
        if self._take("WITHOUT"):
            self._take("ARRAY")
            self._need("WRAPPER")
            wrapper = "WITHOUT ARRAY WRAPPER"
        elif self._match(TokenType.WITH):
            kind = self._take_any("CONDITIONAL", "UNCONDITIONAL") or "UNCONDITIONAL"
            self._take("ARRAY")
            self._need("WRAPPER")
            wrapper = f"WITH {kind} ARRAY WRAPPER"
        condition = self._on_condition()
        return JsonQuery(this=this, path=path, returning=returning, wrapper=wrapper, on_condition=condition)

    def _json_exists(self) -> exp.Expr:
        this, path = self._condition(), self._json_path()
        return exp.JSONExists(this=this, path=path, on_condition=self._on_condition())

    def _on_condition(self) -> exp.OnCondition | None:
        """``NULL ON EMPTY DEFAULT x ON ERROR``: a str for a fixed action, the expression for DEFAULT."""
        found: dict[str, Any] = {}
        while self._curr.token_type != TokenType.R_PAREN:
            action: exp.Expr | str
            if self._match(TokenType.DEFAULT):
                action = self._condition()
                self._need("ON")
                event = self._need_any("EMPTY", "ERROR")
            else:
                word = self._need_any("NULL", "ERROR", "EMPTY", "TRUE", "FALSE", "UNKNOWN")
                if word == "EMPTY":
                    word = f"EMPTY {self._need_any('ARRAY', 'OBJECT')}"
                self._need("ON")
                event = self._need_any("EMPTY", "ERROR")
                action = f"{word} ON {event}"
            if event.lower() in found:
                raise self._error(f"ON {event} is given twice", self._prev)
            found[event.lower()] = action
        return self.expression(exp.OnCondition(**found)) if found else None

    def _null_handling(self) -> str | None:
        for word in ("NULL", "ABSENT"):
            if self._take(word, "ON", "NULL"):
                return f"{word} ON NULL"
        return None

    def _json_object(self, kind: type[exp.Expr]) -> exp.Expr:
        pairs = [] if self._at("NULL", "ON") or self._at("ABSENT", "ON") else self._parse_csv(self._json_pair)
        return kind(expressions=pairs, null_handling=self._null_handling())

    def _json_pair(self) -> exp.Expr | None:
        if self._curr.token_type == TokenType.R_PAREN:
            return None
        if self._next.token_type in self.PRIMARY_PARSERS or self._next.token_type in self.IDENTIFIER_TOKENS:
            self._take("KEY")
        key = self._operand()
        if not self._match(TokenType.COLON):
            self._need("VALUE")
        value = self._condition()
        if self._take("FORMAT", "JSON"):
            value = self.expression(exp.FormatJson(this=value))
        return self.expression(exp.JSONKeyValue(this=key, expression=value))

    def _json_array(self) -> exp.Expr:
        empty = self._at("NULL", "ON") or self._at("ABSENT", "ON")
        items = [] if empty else self._parse_csv(self._json_item)
        return exp.JSONArray(expressions=items, null_handling=self._null_handling())

    def _json_item(self) -> exp.Expr | None:
        value = self._parse_disjunction()
        if value is not None and self._take("FORMAT", "JSON"):
            return self.expression(exp.FormatJson(this=value))
        return value

    def _json_array_aggregate(self) -> exp.Expr:
        value = self._json_item()
        if value is None:
            raise self._error("expected an expression")
        order = self._parse_order()
        return exp.JSONArrayAgg(this=value, order=order, null_handling=self._null_handling())
