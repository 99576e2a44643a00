"""What stands in FROM: tables, joins, table functions, LATERAL, UNNEST, versions, hints."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlglot import exp
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from .nodes import MatchedTable
from .parse_patterns import PatternParser

_QUERY_STARTS = (TokenType.SELECT, TokenType.WITH, TokenType.VALUES)


class TableParser(PatternParser):
    """Adds table references, joins and hints."""

    # --- joins ---

    def _joins(self) -> Iterator[exp.Join]:
        while join := self._join():
            yield join

    def _join(self) -> exp.Join | None:
        token = self._curr
        if self._match(TokenType.COMMA):
            return self._span(exp.Join(this=self._table_reference()), token)
        method = "NATURAL" if self._match(TokenType.NATURAL) else None
        side = kind = None
        if self._match_set((TokenType.LEFT, TokenType.RIGHT, TokenType.FULL)):
            side = self._prev.text.upper()
            kind = "OUTER" if self._match(TokenType.OUTER) else None
        elif self._match_set((TokenType.INNER, TokenType.CROSS)):
            kind = self._prev.text.upper()
        if not self._match(TokenType.JOIN):
            if token is self._curr:
                return None
            raise self._error("expected JOIN")
        join = exp.Join(this=self._table_reference(), method=method, side=side, kind=kind)
        if self._match(TokenType.ON):
            join.set("on", self._condition())
        elif self._match(TokenType.USING):
            join.set("using", self._csv_in_parens(lambda: self._name("a column name")))
        elif not method and kind != "CROSS":
            raise self._error("expected ON or USING", candidates=("ON", "USING"))
        return self._span(join, token)

    # sqlglot's builders (``select(...).join("u", dialect="flink")``) come in through these names

    def _parse_join(
        self,
        skip_join_token: bool = False,
        parse_bracket: bool = False,
        alias_tokens: Collection[TokenType] | None = None,
    ) -> exp.Join | None:
        return self._join()

    def _parse_table(
        self,
        schema: bool = False,
        joins: bool = False,
        alias_tokens: Collection[TokenType] | None = None,
        parse_bracket: bool = False,
        is_db_reference: bool = False,
        parse_partition: bool = False,
        consume_pipe: bool = False,
    ) -> exp.Expr | None:
        return self._table_reference()

    def _parse_lateral(self) -> exp.Lateral | None:
        return self._lateral() if self._match(TokenType.LATERAL) else None

    # --- one source ---

    def _table_reference(self) -> exp.Expr:
        token = self._curr
        if self._match(TokenType.LATERAL):
            return self._span(self._lateral(), token)
        if token.token_type == TokenType.UNNEST:
            return self._span(self._unnest(), token)
        source = self._source(token)
        if self._match(TokenType.MATCH_RECOGNIZE):
            match = self._match_recognize_body()
            return self._span(MatchedTable(this=source, match=match, alias=self._parse_table_alias()), token)
        if not source.args.get("alias") and (alias := self._parse_table_alias()):
            source.set("alias", alias)
        return source if "start" in source.meta else self._span(source, token)

    def _source(self, token: Token) -> exp.Expr:
        if token.token_type == TokenType.TABLE and self._next.token_type == TokenType.L_PAREN:
            self._advance(2)
            call = self._table_function()
            self._match_r_paren()
            return exp.Table(this=call)
        if token.token_type == TokenType.L_PAREN:
            return self._source_in_parens()
        if self._call_ahead():
            return exp.Table(this=self._table_function())
        table = self._object_name("a table, a table function or a query in parentheses")
        self._table_hints(table)
        if self._take("FOR", "SYSTEM_TIME"):
            self._need("AS", "OF")
            version = exp.Version(this="TIMESTAMP", kind="AS OF", expression=self._operand())
            table.set("version", self.expression(version))
            self._table_hints(table)
        return table

    def _call_ahead(self) -> bool:
        """Whether ``name(`` or ``a.b.name(`` comes next."""
        at = self._index
        tokens = self._tokens
        while at + 2 < len(tokens) and tokens[at + 1].token_type == TokenType.DOT:
            at += 2
        return (
            at + 1 < len(tokens)
            and tokens[at].token_type in self.FUNC_TOKENS
            and tokens[at + 1].token_type == TokenType.L_PAREN
        )

    def _source_in_parens(self) -> exp.Expr:
        """``( query )`` or ``( a JOIN b ... )``: an exp.Subquery of a query or of a table with ``joins``."""
        self._match_l_paren()
        query: exp.Expr | None = None
        if self._curr.token_type in _QUERY_STARTS or self._is_plain_table_query():
            query = self._parse_select()
        elif self._curr.token_type == TokenType.L_PAREN:
            query = self._try_parse(self._query_before_paren)
        if query is None:
            query = self._table_reference()
            joins = list(self._joins())
            if joins and "joins" not in query.arg_types:
                raise self._error("a join in parentheses must start with a table or a query")
            if joins:
                query.set("joins", joins)
        self._match_r_paren()
        return exp.Subquery(this=query)

    def _is_plain_table_query(self) -> bool:
        return self._curr.token_type == TokenType.TABLE and self._next.token_type != TokenType.L_PAREN

    def _query_before_paren(self) -> exp.Expr | None:
        query = self._parse_select(nested=True)
        return query if self._curr.token_type == TokenType.R_PAREN else None

    def _table_function(self) -> exp.Expr:
        """A call in FROM: exp.Anonymous, or a Dot of names and the call if it is qualified."""
        node = self._parse_column()
        call = node
        while isinstance(call, exp.Dot):
            call = call.expression
        if not isinstance(call, exp.Anonymous) or node is None:
            raise self._error("expected a table function", self._prev)
        return node

    def _lateral(self) -> exp.Lateral:
        source: exp.Expr
        if self._match_pair(TokenType.TABLE, TokenType.L_PAREN):
            source = self._table_function()
            self._match_r_paren()
        elif self._curr.token_type == TokenType.L_PAREN:
            source = self._source_in_parens()
        elif self._curr.token_type == TokenType.UNNEST:
            unnest = self._unnest()
            alias = unnest.args.get("alias")
            unnest.set("alias", None)
            return exp.Lateral(this=unnest, alias=alias)
        else:
            source = self._table_function()
        return exp.Lateral(this=source, alias=self._parse_table_alias())

    def _unnest(self) -> exp.Unnest:
        """``offset=True`` stands for WITH ORDINALITY; all alias columns stay in the alias."""
        self._advance()
        self._match_l_paren()
        values = self._parse_csv(self._parse_disjunction)
        if not values:
            raise self._error("expected an array, a map or a multiset in UNNEST (...)")
        self._match_r_paren()
        ordinality = True if self._match_pair(TokenType.WITH, TokenType.ORDINALITY) else None
        return exp.Unnest(expressions=values, alias=self._parse_table_alias(), offset=ordinality)

    # --- hints ---

    def _table_hints(self, table: exp.Table) -> None:
        """``/*+ OPTIONS(...) */`` into ``table.args["hints"]``, a list of exp.Hint."""
        while hint := self._parse_hint():
            table.append("hints", hint)

    def _parse_hint(self) -> exp.Hint | None:
        if self._curr.token_type != TokenType.HINT:
            return None
        token = self._curr
        self._advance()
        self._prev_comments = []
        text = self.sql[token.start : token.end + 1] if self.sql else token.text
        # Blanks in front keep the offsets of the hint's tokens those of the whole text
        padded = " " * (token.start + 3) + text[3:-2]
        try:
            tokens = self.dialect.tokenize(padded)
        except TokenError:
            raise self._error("expected a hint such as OPTIONS('key'='value')", token) from None
        parser = type(self)(dialect=self.dialect)
        hints = parser._parse(lambda hint_parser: _hint_list(hint_parser), tokens, padded)
        if not isinstance(hints[0], exp.Hint):
            raise self._error("expected a hint such as OPTIONS('key'='value')", token)
        return hints[0].update_positions(token)

    def _hint_list(self) -> exp.Hint:
        calls = [self._hint_call()]
        while self._curr:
            self._match(TokenType.COMMA)
            calls.append(self._hint_call())
        return exp.Hint(expressions=calls)

    def _hint_call(self) -> exp.Anonymous:
        """``NAME(args)``: arguments are options, strings, numbers or table names."""
        name = self._name("the name of a hint")
        arguments: list[exp.Expr] = []
        if self._match(TokenType.L_PAREN):
            arguments = self._parse_csv(self._hint_argument)
            self._match_r_paren()
        return self._span(exp.Anonymous(this=name.name.upper(), expressions=arguments), name)

    def _hint_argument(self) -> exp.Expr | None:
        token_type = self._curr.token_type
        if token_type == TokenType.R_PAREN:
            return None
        if token_type in self.STRING_PARSERS:
            return self._option() if self._next.token_type == TokenType.EQ else self._string("a value")
        if token_type == TokenType.NUMBER:
            return self._integer("a number")
        return self._object_name()


def _hint_list(parser: object) -> exp.Hint:
    assert isinstance(parser, TableParser)
    return parser._hint_list()
