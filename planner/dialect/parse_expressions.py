"""Operators, literals, columns, CASE, IS, IN, BETWEEN, brackets and intervals.

Precedence from tight to loose, as Calcite's: unary, ``* / % ||``, ``+ -``, BETWEEN/IN/LIKE, comparison,
IS, NOT, AND, OR. Nodes are sqlglot's own; see the package docstring for the few that need a word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.parser import IsPredicatePrecedence, Parser, binary_range_parser
from sqlglot.tokenizer_core import Token, TokenType

from .literals import decode_escape_string, decode_unicode_string
from .parse_base import number
from .parse_types import TypeParser
from .words import needs_quotes

_LITERAL_TYPES = {TokenType.DATE: "DATE", TokenType.TIME: "TIME", TokenType.TIMESTAMP: "TIMESTAMP"}
_JSON_KINDS = ("VALUE", "SCALAR", "ARRAY", "OBJECT")

TokenHandler = Callable[[Any, Token], exp.Expr]


def _unicode_string(self: ExpressionParser, token: Token) -> exp.Expr:
    escape = self._string("the escape character").name if self._take("UESCAPE") else "\\"
    text = decode_unicode_string(token.text, escape)
    if text is None:
        raise self._error("expected four hexadecimal digits after the escape character", token)
    return self.expression(exp.Literal.string(text), token)


def _escape_string(self: ExpressionParser, token: Token) -> exp.Expr:
    # The tokenizer decodes some escapes, but not all: read what was typed
    typed = self.sql[token.start + 2 : token.end] if self.sql else token.text
    text = decode_escape_string(typed)
    if text is None:
        raise self._error("expected an escape that stands for a character", token)
    return self.expression(exp.Literal.string(text), token)


def _number(self: ExpressionParser, token: Token) -> exp.Expr:
    if self._curr.token_type == TokenType.VAR and self._is_connected():
        raise self._error("unexpected")
    return self.expression(number(token.text), token)


def _hex_string(self: ExpressionParser, token: Token) -> exp.Expr:
    if self.sql and self.sql[token.start] not in "xX":  # sqlglot reads 0x1F as well
        raise self._error(f"expected a binary literal as X'{token.text}'", token)
    return self.expression(exp.HexString(this=token.text), token)


def _qualify(call: exp.Expr, names: exp.Expr) -> exp.Expr:
    """``catalog.database.f(x)`` as a Dot of names and call, inside what wraps the call (FILTER, OVER)."""
    path = names.to_dot(include_dots=False) if isinstance(names, exp.Column) else names
    inner = call
    while isinstance(inner, (exp.Window, exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)):
        inner = inner.this
    if inner is call:
        return exp.Dot(this=path, expression=call)
    inner.replace(exp.Dot(this=path, expression=inner.copy()))
    return call


class ExpressionParser(TypeParser):
    """Adds Flink's operators; function calls are in `FunctionParser`."""

    EQUALITY: ClassVar[dict[TokenType, type[exp.Binary]]] = {TokenType.EQ: exp.EQ, TokenType.NEQ: exp.NEQ}
    BITWISE: ClassVar[dict[TokenType, type[exp.Binary]]] = {}
    TERM: ClassVar[dict[TokenType, type[exp.Binary]]] = {TokenType.DASH: exp.Sub, TokenType.PLUS: exp.Add}
    FACTOR: ClassVar[dict[TokenType, type[exp.Binary]]] = {
        TokenType.MOD: exp.Mod,
        TokenType.SLASH: exp.Div,
        TokenType.STAR: exp.Mul,
        TokenType.DPIPE: exp.DPipe,
    }
    ASSIGNMENT: ClassVar[dict[TokenType, type[exp.Expr]]] = {}
    COLUMN_OPERATORS: ClassVar[dict[TokenType, Any]] = {TokenType.DOT: None}
    CAST_COLUMN_OPERATORS: ClassVar[set[TokenType]] = set()
    BRACKETS: ClassVar[frozenset[TokenType]] = frozenset({TokenType.L_BRACKET})
    PLACEHOLDER_PARSERS: ClassVar[dict[TokenType, Any]] = {}
    IS_PREDICATE_PRECEDENCE: ClassVar[IsPredicatePrecedence] = IsPredicatePrecedence.LOW
    IS_PREDICATE_TOKENS: ClassVar[set[TokenType]] = {TokenType.IS}
    UNARY_PARSERS: ClassVar[dict[TokenType, Any]] = {
        TokenType.PLUS: Parser.UNARY_PARSERS[TokenType.PLUS],
        TokenType.NOT: Parser.UNARY_PARSERS[TokenType.NOT],
        TokenType.DASH: Parser.UNARY_PARSERS[TokenType.DASH],
    }
    STRING_PARSERS: ClassVar[dict[TokenType, TokenHandler]] = {
        TokenType.STRING: Parser.STRING_PARSERS[TokenType.STRING],
        TokenType.UNICODE_STRING: _unicode_string,
        TokenType.BYTE_STRING: _escape_string,
    }
    NUMERIC_PARSERS: ClassVar[dict[TokenType, TokenHandler]] = {
        TokenType.NUMBER: _number,
        TokenType.HEX_STRING: _hex_string,
    }
    PRIMARY_PARSERS: ClassVar[dict[TokenType, TokenHandler]] = {
        **STRING_PARSERS,
        **NUMERIC_PARSERS,
        TokenType.NULL: lambda self, token: self.expression(exp.Null(), token),
        TokenType.TRUE: lambda self, token: self.expression(exp.Boolean(this=True), token),
        TokenType.FALSE: lambda self, token: self.expression(exp.Boolean(this=False), token),
        TokenType.STAR: lambda self, token: self.expression(exp.Star(), token),
    }
    RANGE_PARSERS: ClassVar[dict[TokenType, Any]] = {
        TokenType.BETWEEN: lambda self, this: self._parse_between(this),
        TokenType.IN: lambda self, this: self._parse_in(this),
        TokenType.IS: lambda self, this: self._parse_is(this),
        TokenType.LIKE: binary_range_parser(exp.Like),
        TokenType.OVERLAPS: binary_range_parser(exp.Overlaps),
        TokenType.SIMILAR_TO: binary_range_parser(exp.SimilarTo),
    }

    def _condition(self) -> exp.Expr:
        """A whole expression; missing is an error."""
        node = self._parse_disjunction()
        if node is None:
            raise self._error("expected an expression")
        return node

    def _operand(self) -> exp.Expr:
        """An expression without comparison, AND and OR; missing is an error."""
        node = self._parse_bitwise()
        if node is None:
            raise self._error("expected an expression")
        return node

    # --- predicates ---

    def _parse_range(self, this: exp.Expr | None = None, parse_is: bool = False) -> exp.Expr | None:
        this = this or self._parse_bitwise()
        while this is not None:
            if not parse_is and self._curr.token_type == TokenType.IS:
                return this
            negate = self._curr.token_type == TokenType.NOT and self._next.token_type in self.RANGE_PARSERS
            if negate:
                self._advance()
            if not self._match_set(self.RANGE_PARSERS):
                return this
            this = self.RANGE_PARSERS[self._prev.token_type](self, this)
            if negate:
                this = self._negate_range(this)
        return this

    def _parse_is(self, this: exp.Expr | None) -> exp.Expr:
        negate = self._match(TokenType.NOT)
        if self._match(TokenType.DISTINCT):
            if not self._match(TokenType.FROM):
                raise self._error("expected FROM after IS DISTINCT")
            klass: type[exp.Binary] = exp.NullSafeEQ if negate else exp.NullSafeNEQ
            return self._build_predicate(klass, this, self._parse_equality(parse_is=False))
        node = self._build_predicate(exp.Is, this, self._is_operand())
        return self.expression(exp.Not(this=node)) if negate else node

    def _is_operand(self) -> exp.Expr:
        token = self._curr
        if token.token_type in (TokenType.NULL, TokenType.TRUE, TokenType.FALSE):
            self._advance()
            return self.PRIMARY_PARSERS[token.token_type](self, token)
        if self._take("UNKNOWN"):
            return self.expression(exp.var("UNKNOWN"), token)
        if self._take("JSON"):
            return self._span(exp.JSON(this=self._take_any(*_JSON_KINDS)), token)
        raise self._error("expected NULL, TRUE, FALSE, UNKNOWN, DISTINCT FROM or JSON after IS")

    def _parse_in(self, this: exp.Expr | None, alias: bool = False) -> exp.In:
        self._match_l_paren()
        query = self._parse_select()
        if query:
            node = exp.In(this=this, query=self.expression(exp.Subquery(this=query)))
        else:
            items = self._parse_csv(self._parse_disjunction)
            if not items:
                raise self._error("expected values or a query in IN (...)")
            node = exp.In(this=this, expressions=items)
        self._match_r_paren()
        return self.expression(node)

    def _parse_between(self, this: exp.Expr | None) -> exp.Between:
        symmetric = True if self._take("SYMMETRIC") else None
        if not symmetric:
            self._take("ASYMMETRIC")  # the default
        low = self._operand()
        self._need_token(TokenType.AND, "AND between the bounds of BETWEEN")
        high = self._operand()
        return self.expression(exp.Between(this=this, low=low, high=high, symmetric=symmetric))

    # --- operands ---

    def _parse_type(
        self, parse_interval: bool = True, fallback_to_identifier: bool = False
    ) -> exp.Expr | None:
        """Literals with a type name (``DATE '...'``, ``INTERVAL '...' DAY``), else a column, call or
        parenthesis.
        """
        token = self._curr
        if token.token_type in _LITERAL_TYPES and self._next.token_type in self.STRING_PARSERS:
            return self._temporal_literal()
        if token.token_type == TokenType.INTERVAL:
            return self._parse_interval()
        return self._parse_atom() or self._parse_column()

    def _parse_primary(self) -> exp.Expr | None:
        """A literal, ``*`` or something in parentheses; strings on following lines continue the first one."""
        token = self._curr
        if token.token_type != TokenType.STRING or self._next.token_type != TokenType.STRING:
            return super()._parse_primary()
        text = ""
        while self._match(TokenType.STRING):
            text += self._prev.text
            following = self._curr
            if following.token_type == TokenType.STRING and following.line == self._prev.line:
                raise self._error("unexpected")
        return self._span(exp.Literal.string(text), token)

    def _temporal_literal(self) -> exp.Expr:
        """``TIMESTAMP '...'``: an exp.Cast whose type has ``kind="LITERAL"``, to tell it from CAST('...'
        AS TIMESTAMP).
        """
        token = self._curr
        self._advance()
        dtype = exp.DType[_LITERAL_TYPES[token.token_type]]
        text = self._string("a literal")
        return self._span(exp.Cast(this=text, to=exp.DataType(this=dtype, kind="LITERAL")), token)

    def _parse_interval(
        self, require_interval: bool = True, parse_function_unit: bool = True
    ) -> exp.Add | exp.Interval | None:
        """``INTERVAL [-] '...' unit [TO unit]``; the sign moves into the text."""
        token = self._need_token(TokenType.INTERVAL, "INTERVAL")
        negative = self._match(TokenType.DASH)
        if not negative:
            self._match(TokenType.PLUS)
        if self._curr.token_type == TokenType.NUMBER:
            raise self._error(f"expected a quoted value such as INTERVAL '{self._curr.text}' MINUTE")
        value = self._string("the value of the interval")
        if negative:
            text = value.name
            value = exp.Literal.string(text[1:] if text.startswith("-") else f"-{text}").update_positions(
                value
            )
        return self._span(exp.Interval(this=value, unit=self._interval_qualifier()), token)

    def _parse_column(self) -> exp.Expr | None:
        column = super()._parse_column()
        if isinstance(column, exp.Column):
            self._place_column(column)
        return column

    def _place_column(self, column: exp.Column) -> None:
        first, last = column.parts[0], column.parts[-1]
        if "start" in first.meta and "end" in last.meta:
            meta = first.meta
            column.update_positions(
                line=meta["line"], col=meta["col"], start=meta["start"], end=last.meta["end"]
            )

    def _parse_column_parts_fast(self) -> exp.Column | exp.Dot | None:
        column = super()._parse_column_parts_fast()
        for name in column.find_all(exp.Identifier) if column is not None else ():
            name.set("quoted", needs_quotes(name.name))
        return column

    def _parse_column_ops(self, this: exp.Expr | None) -> exp.Expr | None:
        """``[index]``, ``.field``, ``.*`` and ``.function(...)`` after an operand."""
        while this is not None:
            if self._curr.token_type == TokenType.L_BRACKET:
                this = self._parse_bracket(this)
            elif self._curr.token_type == TokenType.DOT and not isinstance(this, exp.Literal):
                self._advance()
                this = self._member(this)
            else:
                break
        return this

    def _member(self, this: exp.Expr) -> exp.Expr:
        token = self._curr
        if self._next.token_type == TokenType.L_PAREN and token.token_type in self.FUNC_TOKENS:
            call = self._parse_function_call()
            assert call is not None
            return _qualify(call, this)
        member: exp.Expr
        if self._match(TokenType.STAR):
            member = self.expression(exp.Star(), token)
        else:
            member = self._name("a field, a function or * after '.'")
        if isinstance(this, exp.Column) and not this.args.get("catalog"):
            parts = {
                "this": member,
                "table": this.this,
                "db": this.args.get("table"),
                "catalog": this.args.get("db"),
            }
            return self.expression(exp.Column(**parts))
        return self.expression(exp.Dot(this=this, expression=member))

    def _parse_bracket(self, this: exp.Expr | None = None) -> exp.Expr | None:
        """``a[i]``, ``m['k']``: the index is kept as written (Flink counts from 1)."""
        while this is not None and self._match(TokenType.L_BRACKET):
            index = self._condition()
            self._need_token(TokenType.R_BRACKET, "]")
            this = self.expression(exp.Bracket(this=this, expressions=[index]))
        return this

    def _parse_paren(self) -> exp.Expr | None:
        if not self._match(TokenType.L_PAREN):
            return None
        comments = self._prev_comments
        node: exp.Expr | None = self._parse_select()
        if node is not None:
            node = self.expression(exp.Subquery(this=node))
        else:
            items = self._parse_csv(self._parse_disjunction)
            if len(items) == 1 and isinstance(items[0], exp.Subquery):
                query = self._parse_query_modifiers(self._parse_set_operations(items[0]))
                node = self.expression(exp.Subquery(this=query))
            elif len(items) == 1:
                node = self.expression(exp.Paren(this=items[0]))
            else:
                node = self.expression(exp.Tuple(expressions=items))
        node.add_comments(comments)
        self._match_r_paren(node)
        return node

    def _parse_case(self) -> exp.Expr:
        operand = None if self._curr.token_type == TokenType.WHEN else self._condition()
        branches = []
        while self._match(TokenType.WHEN):
            condition = self._condition()
            self._need_token(TokenType.THEN, "THEN")
            branches.append(self.expression(exp.If(this=condition, true=self._condition())))
        if not branches:
            raise self._error("expected WHEN after CASE")
        default = self._condition() if self._match(TokenType.ELSE) else None
        self._need_token(TokenType.END, "WHEN, ELSE or END")
        return self.expression(exp.Case(this=operand, ifs=branches, default=default))
