"""What every part of the grammar needs: one statement loop, strict lists, names, and errors that say what
was expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import ClassVar, TypeVar

from sqlglot import exp
from sqlglot.errors import ParseError
from sqlglot.parser import SENTINEL_NONE, Parser
from sqlglot.tokenizer_core import Token, TokenType

from .tokens import ALIAS_TOKENS, NAME_TOKENS
from .words import needs_quotes

T = TypeVar("T")
E = TypeVar("E", bound=exp.Expr)

_MISSING_OPERAND = re.compile(r"Required (?:argument|keyword):? '\w+' missing for")
_OPERAND_ENDS = {
    TokenType.VAR,
    TokenType.IDENTIFIER,
    TokenType.STRING,
    TokenType.NUMBER,
    TokenType.R_PAREN,
    TokenType.R_BRACKET,
}
_EXPECTING = re.compile(r"Expect(?:ing|ed) (.+)")


def identifier(text: str) -> exp.Identifier:
    """An identifier in canonical form: ``quoted`` says whether Flink needs back-ticks, not whether they
    were typed.

    Flink compares names exactly, quoted or not, so the back-ticks carry no meaning of their own.
    """
    return exp.Identifier(this=text, quoted=needs_quotes(text))


def number(text: str) -> exp.Literal:
    """A literal of the digits in ``text``."""
    return exp.Literal(this=text, is_string=False)


class TokenParser(Parser):
    """sqlglot's parser with strict lists and a loop over statements that may hold semicolons themselves."""

    ID_VAR_TOKENS: ClassVar[set[TokenType]] = set(NAME_TOKENS)
    TABLE_ALIAS_TOKENS: ClassVar[set[TokenType]] = set(ALIAS_TOKENS)
    ALIAS_TOKENS: ClassVar[set[TokenType]] = set(ALIAS_TOKENS)

    # --- statements ---

    def _parse(
        self,
        parse_method: Callable[[Parser], exp.Expr | None],
        raw_tokens: list[Token],
        sql: str | None = None,
    ) -> list[exp.Expr | None]:
        """All statements of the text; sqlglot cuts at semicolons first, which a statement set does not
        survive.
        """
        self.reset()
        self.sql = sql or ""
        self._chunks = [list(raw_tokens)]
        self._advance_chunk()
        parsed: list[exp.Expr | None] = []
        while True:
            while self._match(TokenType.SEMICOLON):
                pass
            if not self._curr:
                return parsed or [None]
            parsed.append(parse_method(self))
            if self._curr and self._curr.token_type != TokenType.SEMICOLON:
                self.raise_error("unexpected")
            self.check_errors()

    # --- errors ---

    def raise_error(self, message: str, token: Token = SENTINEL_NONE) -> None:
        """sqlglot's way to complain; here its words become readable."""
        if match := _EXPECTING.match(message):
            message = f"expected {match.group(1)}"
        elif _MISSING_OPERAND.match(message):
            message = "expected an expression"
        raise self._error(message, token)

    def _error(
        self, message: str, token: Token = SENTINEL_NONE, candidates: Collection[str] = ()
    ) -> ParseError:
        """An error at ``token``, else at the next token.

        ``errors[0]`` also holds the offsets ``start`` and ``end``, what was read as an ``alias`` just before (text,
        start, end), and the ``candidates``: words that would have been right here.
        """
        found = token or self._curr
        place = found or (self._tokens[-1] if self._tokens else Token(TokenType.SENTINEL, ""))
        end = place.end if found else place.end + 1
        error = ParseError.new(
            f"{message} at line {place.line}, column {place.col}",
            description=message,
            line=place.line,
            col=place.col,
            highlight=self.sql[place.start : place.end + 1] if found else "",
        )
        error.errors[0].update(
            {
                "start": place.start if found else end,
                "end": end,
                "alias": self._alias_before(),
                "candidates": list(candidates),
            }
        )
        return error

    def _alias_before(self) -> tuple[str, int, int] | None:
        """The token before this one if it followed an operand, as an alias does."""
        if not 2 <= self._index <= len(self._tokens):
            return None
        operand, alias = self._tokens[self._index - 2], self._tokens[self._index - 1]
        if alias.token_type != TokenType.VAR or operand.token_type not in _OPERAND_ENDS:
            return None
        return alias.text, alias.start, alias.end

    # --- words and tokens ---

    def _at(self, *words: str) -> bool:
        """Whether the next tokens are these words (back-ticked names and strings are never words)."""
        return self._match_text_seq(*words, advance=False)

    def _take(self, *words: str) -> bool:
        return self._match_text_seq(*words)

    def _take_any(self, *words: str) -> str | None:
        """The first of ``words`` that comes next, taken; None if it is none of them."""
        return self._prev.text.upper() if self._match_texts(words) else None

    def _need(self, *words: str) -> None:
        if not self._match_text_seq(*words):
            raise self._error(f"expected {' '.join(words)}", candidates=words[:1])

    def _need_any(self, *words: str) -> str:
        word = self._take_any(*words)
        if word is None:
            raise self._error(f"expected {_one_of(words)}", candidates=words)
        return word

    def _need_token(self, token_type: TokenType, what: str) -> Token:
        if not self._match(token_type):
            raise self._error(f"expected {what}")
        return self._prev

    # --- lists ---

    def _parse_csv(self, parse_method: Callable[[], T | None], sep: TokenType = TokenType.COMMA) -> list[T]:
        """A list separated by commas; nothing after a comma is an error, nothing at all is an empty list."""
        first = parse_method()
        if first is None:
            return []
        items = [first]
        while self._match(sep):
            if isinstance(items[-1], exp.Expr):
                self._add_comments(items[-1])
            item = parse_method()
            if item is None:
                raise self._error("expected another item after ','")
            items.append(item)
        return items

    def _csv_in_parens(self, parse_method: Callable[[], T | None]) -> list[T]:
        """``( item, ... )`` with at least one item."""
        self._match_l_paren()
        items = self._parse_csv(parse_method)
        if not items:
            raise self._error("expected at least one item in the parentheses")
        self._match_r_paren()
        return items

    # --- names and literals ---

    def _identifier_expression(
        self, token: Token | None = None, quoted: bool | None = None, **kwargs: object
    ) -> exp.Identifier:
        """Every identifier is made here or in `_name`, in canonical form."""
        source = token or self._prev
        return self.expression(identifier(source.text), source)

    def _parse_id_var(
        self, any_token: bool = True, tokens: Collection[TokenType] | None = None
    ) -> exp.Expr | None:
        """A name; ``any_token`` (right after AS) allows every word that is not a clause."""
        allowed = tokens if tokens is not None and not any_token else self.ID_VAR_TOKENS
        if self._curr.token_type == TokenType.IDENTIFIER or self._curr.token_type in allowed:
            self._advance()
            return self._identifier_expression()
        return None

    def _parse_placeholder(self) -> exp.Expr | None:
        """Flink has no parameters in statements; kept out so that ``?`` and ``:x`` are syntax errors."""
        return None

    def _name(self, what: str = "a name") -> exp.Identifier:
        name = self._parse_id_var()
        if not isinstance(name, exp.Identifier):
            raise self._error(f"expected {what}")
        return name

    def _dotted_name(self, what: str = "a column name") -> exp.Identifier | exp.Dot:
        """``a`` or ``a.b.c``: an Identifier, or Dots from the left."""
        name: exp.Identifier | exp.Dot = self._name(what)
        while self._match(TokenType.DOT):
            name = self.expression(exp.Dot(this=name, expression=self._name("a field name")))
        return name

    def _object_name(self, what: str = "a table name") -> exp.Table:
        """``[[catalog.]database.]object``."""
        parts = [self._name(what)]
        while self._match(TokenType.DOT):
            if len(parts) == 3:
                raise self._error("expected at most catalog.database.name")
            parts.append(self._name("a name after '.'"))
        table = exp.Table(this=parts[-1])
        for key, part in zip(("db", "catalog"), reversed(parts[:-1]), strict=False):
            table.set(key, part)
        return self._span(table, parts[0])

    def _string(self, what: str) -> exp.Literal:
        """A string literal."""
        token = self._curr
        if token.token_type not in self.STRING_PARSERS:
            raise self._error(f"expected {what} in single quotes")
        self._advance()
        parser: Callable[[Parser, Token], exp.Expr] = self.STRING_PARSERS[token.token_type]
        literal = parser(self, token)
        assert isinstance(literal, exp.Literal)
        return literal

    def _integer(self, what: str) -> exp.Literal:
        token = self._need_token(TokenType.NUMBER, what)
        if not token.text.isdigit():
            raise self._error(f"expected {what}", token)
        return self.expression(number(token.text), token)

    def _option(self) -> exp.Property:
        """``'key' = 'value'``."""
        key = self._string("an option key")
        self._need_token(TokenType.EQ, "=")
        value = self._string("the option's value")
        option: exp.Property = exp.Property(this=key, value=value)
        return self._span(option, key)

    def _option_list(self) -> list[exp.Property]:
        """``( 'key' = 'value', ... )``, maybe empty."""
        self._match_l_paren()
        options = [] if self._match(TokenType.R_PAREN, advance=False) else self._parse_csv(self._option)
        self._match_r_paren()
        return options

    def _span(self, node: E, start: exp.Expr | Token) -> E:
        """Marks ``node`` as reaching from ``start`` to the token read last, and checks its arguments."""
        if isinstance(start, Token):
            node.update_positions(line=start.line, col=start.col, start=start.start, end=self._prev.end)
        elif "start" in start.meta:
            node.update_positions(start)
            node.meta["end"] = self._prev.end
        return self.expression(node)


def _one_of(words: Collection[str]) -> str:
    *rest, last = words
    return f"{', '.join(rest)} or {last}" if rest else last
