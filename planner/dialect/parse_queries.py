"""Queries: SELECT, set operations, VALUES, WITH, GROUP BY, ORDER BY and the select list.

Grammar::

    query   := [WITH ctes] operand { UNION | EXCEPT | INTERSECT [ALL | DISTINCT] operand }
               [ORDER BY ...] [LIMIT n] [OFFSET n [ROWS]] [FETCH FIRST n ROWS ONLY]
    operand := SELECT ... | VALUES ... | TABLE name | ( query )

ORDER BY, LIMIT and OFFSET belong to the whole query, so they sit on the outermost node.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from .parse_tables import TableParser

_QUERY_STARTS = (TokenType.SELECT, TokenType.WITH, TokenType.VALUES, TokenType.TABLE)
_UNSUPPORTED_AFTER_TABLE = ("PIVOT", "UNPIVOT", "TABLESAMPLE")
_OPERATIONS: dict[TokenType, type[exp.SetOperation]] = {
    TokenType.UNION: exp.Union,
    TokenType.EXCEPT: exp.Except,
    TokenType.INTERSECT: exp.Intersect,
}


class QueryParser(TableParser):
    """Adds queries; ``_parse_select`` and its helpers keep sqlglot's signatures."""

    def _query(self, what: str = "a query") -> exp.Expr:
        query = self._parse_select(nested=True)
        if query is None:
            raise self._error(f"expected {what}")
        return query

    def _parse_select(
        self,
        nested: bool = False,
        table: bool = False,
        parse_subquery_alias: bool = True,
        parse_set_operation: bool = True,
        consume_pipe: bool = True,
    ) -> exp.Expr | None:
        """A query, or None when the next token starts none; a parenthesis counts only if ``nested`` or
        ``table``.
        """
        token_type = self._curr.token_type
        if token_type not in _QUERY_STARTS and not (token_type == TokenType.L_PAREN and (nested or table)):
            return None
        with_ = self._parse_with()
        query = self._query_operand()
        if parse_set_operation:
            query = self._parse_query_modifiers(self._parse_set_operations(query))
        if with_:
            if query.args.get("with_"):
                raise self._error("a query in parentheses has a WITH clause of its own; use one")
            query.set("with_", with_)
        return query

    def _query_operand(self) -> exp.Expr:
        token = self._curr
        if self._match(TokenType.SELECT):
            return self._select(token)
        if self._match(TokenType.VALUES):
            rows = self._parse_csv(self._parse_value)
            if not rows:
                raise self._error("expected a row after VALUES")
            return self._span(exp.Values(expressions=rows), token)
        if self._match(TokenType.TABLE):
            source = self.expression(exp.From(this=self._object_name()))
            return self._span(exp.Select(expressions=[exp.Star()], from_=source), token)
        if self._match(TokenType.L_PAREN):
            query = self._query()
            self._match_r_paren()
            return self._span(exp.Subquery(this=query), token)
        raise self._error("expected SELECT, VALUES or a query in parentheses")

    def _parse_value(self, values: bool = True) -> exp.Tuple | None:
        """A row of VALUES: ``(a, b)``, ``ROW(a, b)`` or a single expression."""
        token = self._curr
        if token.token_type == TokenType.ROW and self._next.token_type == TokenType.L_PAREN:
            self._advance()
        if self._match(TokenType.L_PAREN):
            if self._curr.token_type == TokenType.R_PAREN:
                raise self._error("expected a value in the row")
            row = exp.Tuple(expressions=self._parse_csv(self._parse_disjunction))
            self._match_r_paren()
            return self._span(row, token)
        value = self._parse_disjunction()
        return None if value is None else self._span(exp.Tuple(expressions=[value]), token)

    # --- set operations and what follows them ---

    def _parse_set_operations(self, this: exp.Expr | None) -> exp.Expr | None:
        """``a UNION b EXCEPT c`` from the left; INTERSECT binds tighter."""
        this = self._intersections(this)
        while this is not None and self._match_set((TokenType.UNION, TokenType.EXCEPT)):
            this = self._set_operation(this, _OPERATIONS[self._prev.token_type])
        return this

    def _intersections(self, this: exp.Expr | None) -> exp.Expr | None:
        while this is not None and self._match(TokenType.INTERSECT):
            this = self._set_operation(this, exp.Intersect)
        return this

    def _set_operation(self, left: exp.Expr, kind: type[exp.SetOperation]) -> exp.Expr:
        distinct = not self._match(TokenType.ALL)
        if distinct:
            self._match(TokenType.DISTINCT)
        right: exp.Expr | None = self._query_operand()
        if kind is not exp.Intersect:
            right = self._intersections(right)
        return self.expression(kind(this=left, expression=right, distinct=distinct))

    def _parse_query_modifiers(self, this: Any) -> Any:
        """ORDER BY, LIMIT, OFFSET and FETCH of a whole query."""
        if this is None:
            return None
        if isinstance(this, exp.Values) and self._curr.token_type == TokenType.ORDER_BY:
            this = self.expression(exp.Select(expressions=[exp.Star()], from_=_from_values(this)))
        order = self._parse_order()
        if order:
            this.set("order", order)
        while True:
            token = self._curr
            if self._match_pair(TokenType.LIMIT, TokenType.ALL):
                continue  # no limit
            if token.token_type in (TokenType.LIMIT, TokenType.FETCH):
                self._set_once(this, "limit", self._limit(), token)
            elif token.token_type == TokenType.OFFSET:
                self._advance()
                offset = self.expression(exp.Offset(expression=self._operand()))
                self._take_any("ROW", "ROWS")
                self._set_once(this, "offset", offset, token)
            else:
                return this

    def _set_once(self, node: exp.Expr, key: str, value: exp.Expr, token: Token) -> None:
        if node.args.get(key):
            raise self._error(f"{token.text.upper()} is given twice", token)
        node.set(key, value)

    def _parse_limit(
        self, this: exp.Expr | None = None, top: bool = False, skip_limit_token: bool = False
    ) -> exp.Expr | None:
        return self._limit() if self._curr.token_type in (TokenType.LIMIT, TokenType.FETCH) else this

    def _limit(self) -> exp.Expr:
        if self._match(TokenType.LIMIT):
            return self.expression(exp.Limit(expression=self._operand()))
        self._advance()
        direction = self._need_any("FIRST", "NEXT")
        count = self._operand()
        self._need_any("ROW", "ROWS")
        self._need("ONLY")
        options = self.expression(exp.LimitOptions(rows=True))
        return self.expression(exp.Fetch(direction=direction, count=count, limit_options=options))

    # --- WITH ---

    def _parse_with(self, skip_with_token: bool = False) -> exp.With | None:
        token = self._curr
        if not self._match(TokenType.WITH):
            return None
        recursive = True if self._match(TokenType.RECURSIVE) else None
        return self._span(exp.With(expressions=self._parse_csv(self._parse_cte), recursive=recursive), token)

    def _parse_cte(self) -> exp.CTE:
        name = self._name("the name of a WITH query")
        columns = self._column_names() if self._curr.token_type == TokenType.L_PAREN else None
        alias = self._span(exp.TableAlias(this=name, columns=columns), name)
        self._need_token(TokenType.ALIAS, "AS")
        self._match_l_paren()
        query = self._query()
        self._match_r_paren()
        return self._span(exp.CTE(this=query, alias=alias), name)

    # --- SELECT ---

    def _select(self, token: Token) -> exp.Select:
        comments = self._prev_comments
        hint = self._parse_hint()
        distinct = None
        if self._match(TokenType.DISTINCT):
            distinct = self.expression(exp.Distinct())
        else:
            self._match(TokenType.ALL)  # the default
        items = self._parse_csv(self._parse_expression)
        if not items:
            raise self._error("expected a column or an expression after SELECT")
        select = exp.Select(hint=hint, distinct=distinct, expressions=items)
        select.comments = list(comments) or None
        source = self._parse_from()
        if source:
            select.set("from_", source)
            select.set("joins", list(self._joins()) or None)
        for key, clause in (
            ("where", self._parse_where()),
            ("group", self._parse_group()),
            ("having", self._parse_having()),
            ("windows", self._parse_window_clause()),
            ("qualify", self._parse_qualify()),
        ):
            if clause:
                select.set(key, clause)
        return self._span(select, token)

    def _parse_expression(self) -> exp.Expr | None:
        return self._parse_alias(self._parse_disjunction())

    def _parse_alias(self, this: exp.Expr | None, explicit: bool = False) -> exp.Expr | None:
        if this is None:
            return None
        if isinstance(this, exp.Star) or isinstance(this.this, exp.Star):
            return this  # * has no alias
        alias: exp.Expr | None
        if self._match(TokenType.ALIAS):
            alias = self._name("a name after AS")
        elif explicit or self._emit_changes_ahead():
            return this
        else:
            alias = self._parse_id_var(any_token=False, tokens=self.ALIAS_TOKENS)
        return self.expression(exp.Alias(this=this, alias=alias)) if alias else this

    def _parse_from(
        self, joins: bool = False, skip_from_token: bool = False, consume_pipe: bool = False
    ) -> exp.From | None:
        if not self._match(TokenType.FROM):
            return None
        return self.expression(exp.From(this=self._table_reference()))

    def _parse_where(self, skip_where_token: bool = False) -> exp.Where | None:
        return self.expression(exp.Where(this=self._condition())) if self._match(TokenType.WHERE) else None

    def _parse_having(self, skip_having_token: bool = False) -> exp.Having | None:
        return self.expression(exp.Having(this=self._condition())) if self._match(TokenType.HAVING) else None

    def _parse_qualify(self) -> exp.Qualify | None:
        return (
            self.expression(exp.Qualify(this=self._condition())) if self._match(TokenType.QUALIFY) else None
        )

    def _parse_group(self, skip_group_by_token: bool = False) -> exp.Group | None:
        """Every grouping, also GROUPING SETS, ROLLUP and CUBE, is an element of ``expressions``."""
        if not self._match(TokenType.GROUP_BY):
            return None
        elements = self._parse_csv(self._grouping_element)
        if not elements:
            raise self._error("expected an expression after GROUP BY")
        return self.expression(exp.Group(expressions=elements))

    def _grouping_element(self) -> exp.Expr | None:
        token = self._curr
        kinds: dict[TokenType, type[exp.Expr]] = {
            TokenType.GROUPING_SETS: exp.GroupingSets,
            TokenType.ROLLUP: exp.Rollup,
            TokenType.CUBE: exp.Cube,
        }
        if not self._match_set(kinds):
            return self._parse_disjunction()
        return self._span(
            kinds[token.token_type](expressions=self._csv_in_parens(self._grouping_element)), token
        )

    def _parse_order(self, this: exp.Expr | None = None, skip_order_token: bool = False) -> exp.Expr | None:
        if not self._match(TokenType.ORDER_BY):
            return this
        keys = self._parse_csv(self._parse_ordered)
        if not keys:
            raise self._error("expected an expression after ORDER BY")
        return self.expression(exp.Order(this=this, expressions=keys))

    def _parse_table_alias(self, alias_tokens: Collection[TokenType] | None = None) -> exp.TableAlias | None:
        """``[AS] name [(column, ...)]``."""
        clause_follows = self._next.token_type in (TokenType.VAR, TokenType.L_PAREN)
        if clause_follows and self._match_texts(_UNSUPPORTED_AFTER_TABLE, advance=False):
            raise self._error(f"{self._curr.text.upper()} is not supported")
        if self._match(TokenType.ALIAS):
            name: exp.Expr | None = self._name("a name after AS")
        elif self._emit_changes_ahead():
            return None
        else:
            name = self._parse_id_var(any_token=False, tokens=self.TABLE_ALIAS_TOKENS)
        if name is None:
            return None
        columns = self._column_names() if self._curr.token_type == TokenType.L_PAREN else None
        return self._span(exp.TableAlias(this=name, columns=columns), name)

    def _column_names(self) -> list[exp.Identifier]:
        return self._csv_in_parens(lambda: self._name("a column name"))

    def _emit_changes_ahead(self) -> bool:
        return self._at("EMIT", "CHANGES")


def _from_values(values: exp.Values) -> exp.From:
    return exp.From(this=exp.Subquery(this=values))
