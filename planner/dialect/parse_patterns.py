"""MATCH_RECOGNIZE and its row patterns."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from .nodes import (
    PatternAlternation,
    PatternGroup,
    PatternRepeat,
    PatternSequence,
    PatternVariable,
    RowPattern,
)
from .parse_base import number
from .parse_functions import FunctionParser

_QUANTIFIERS: dict[TokenType, tuple[int, int | None]] = {
    TokenType.STAR: (0, None),
    TokenType.PLUS: (1, None),
    TokenType.PLACEHOLDER: (0, 1),  # the token of "?"
}
_REFUSED = {
    "PERMUTE": "PERMUTE is",
    "^": "the anchor ^ is",
    "$": "the anchor $ is",
    "{": "the exclusion {- … -} is",
}


class PatternParser(FunctionParser):
    """Adds the body of MATCH_RECOGNIZE."""

    def _match_recognize_body(self) -> exp.MatchRecognize:
        self._match_l_paren()
        partition_by = (
            self._parse_csv(self._parse_disjunction) if self._match(TokenType.PARTITION_BY) else None
        )
        order = self._parse_order()
        measures = self._parse_csv(self._measure) if self._take("MEASURES") else None
        rows = self._rows_per_match()
        after = self._after_match()
        self._need("PATTERN")
        pattern = self._row_pattern()
        if self._take("SUBSET"):
            raise self._error("SUBSET is not part of Flink's MATCH_RECOGNIZE", self._prev)
        define = self._parse_csv(self._definition) if self._take("DEFINE") else None
        self._match_r_paren()
        match = exp.MatchRecognize(
            partition_by=partition_by,
            order=order,
            measures=measures,
            rows=rows,
            after=after,
            pattern=pattern,
            define=define,
        )
        return self.expression(match)

    def _measure(self) -> exp.Expr:
        frame = self._take_any("FINAL", "RUNNING")
        value = self._condition()
        self._need_token(TokenType.ALIAS, "AS and the name of the measure")
        named = self.expression(exp.Alias(this=value, alias=self._name("the name of the measure")))
        return self.expression(exp.MatchRecognizeMeasure(this=named, window_frame=frame))

    def _definition(self) -> exp.Expr:
        name = self._name("a pattern variable")
        self._need_token(TokenType.ALIAS, "AS")
        return self._span(exp.Alias(this=self._condition(), alias=name), name)

    def _rows_per_match(self) -> exp.Var | None:
        start = self._curr
        if self._take("ONE", "ROW", "PER", "MATCH"):
            return self._span(exp.var("ONE ROW PER MATCH"), start)
        if self._take("ALL", "ROWS", "PER", "MATCH"):
            return self._span(exp.var("ALL ROWS PER MATCH"), start)
        return None

    def _after_match(self) -> exp.Var | None:
        start = self._curr
        if not self._take("AFTER", "MATCH"):
            return None
        self._need("SKIP")
        if self._take("PAST", "LAST", "ROW"):
            return self._span(exp.var("AFTER MATCH SKIP PAST LAST ROW"), start)
        self._need("TO")
        if self._take("NEXT", "ROW"):
            return self._span(exp.var("AFTER MATCH SKIP TO NEXT ROW"), start)
        place = self._take_any("FIRST", "LAST") or "LAST"
        variable = self._name("a pattern variable")
        return self._span(exp.var(f"AFTER MATCH SKIP TO {place} {variable.name}"), start)

    # --- patterns ---

    def _row_pattern(self) -> RowPattern:
        self._match_l_paren()
        pattern = self._alternation()
        self._match_r_paren()
        within = self._parse_interval() if self._take("WITHIN") else None
        return self.expression(RowPattern(this=pattern, within=within))

    def _alternation(self) -> exp.Expr:
        branches = [self._sequence()]
        while self._match(TokenType.PIPE):
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else PatternAlternation(expressions=branches)

    def _sequence(self) -> exp.Expr:
        parts: list[exp.Expr] = []
        while self._curr.token_type not in (TokenType.R_PAREN, TokenType.PIPE):
            parts.append(self._quantified())
        if not parts:
            raise self._error("expected a pattern variable")
        return parts[0] if len(parts) == 1 else PatternSequence(expressions=parts)

    def _quantified(self) -> exp.Expr:
        start = self._curr
        refused = _REFUSED.get(start.text.upper())
        if refused is not None and (start.text != "PERMUTE" or self._next.token_type == TokenType.L_PAREN):
            raise self._error(f"{refused} not part of Flink's MATCH_RECOGNIZE", start)
        if self._match(TokenType.L_PAREN):
            part: exp.Expr = PatternGroup(this=self._alternation())
            self._match_r_paren()
        else:
            part = PatternVariable(this=self._name("a pattern variable"))
        self._span(part, start)
        bounds = self._quantifier()
        if bounds is None:
            return part
        minimum, maximum = bounds
        reluctant = True if self._match(TokenType.PLACEHOLDER) else None
        repeat = PatternRepeat(this=part, minimum=minimum, maximum=maximum, reluctant=reluctant)
        return self._span(repeat, start)

    def _quantifier(self) -> tuple[exp.Literal, exp.Literal | None] | None:
        if self._match_set(_QUANTIFIERS):
            low, high = _QUANTIFIERS[self._prev.token_type]
            return number(str(low)), None if high is None else number(str(high))
        if not self._match(TokenType.L_BRACE):
            return None
        at = self._curr.token_type
        minimum = number("0") if at == TokenType.COMMA else self._integer("a number of repetitions")
        maximum: exp.Literal | None = minimum.copy()
        if self._match(TokenType.COMMA):
            bounded = self._curr.token_type != TokenType.R_BRACE
            maximum = self._integer("a number of repetitions") if bounded else None
        self._need_token(TokenType.R_BRACE, "}")
        return minimum, maximum
