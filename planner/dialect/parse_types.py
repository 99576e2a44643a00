"""Data types: Flink's names, parameters, nested types and nullability.

STRING is ``DType.TEXT``, BYTES is ``DType.BLOB``, TIMESTAMP_LTZ is ``DType.TIMESTAMPLTZ``, ROW is
``DType.STRUCT`` of ColumnDefs, INTERVAL types are ``DataType(this=exp.Interval(unit=...))``. MULTISET,
RAW, STRUCTURED and BITMAP, which sqlglot does not know, are ``DType.USERDEFINED`` with ``kind``. ``NOT
NULL`` sets ``nullable=False``.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from .parse_base import TokenParser
from .tokens import TYPE_TOKENS

_WITH_PRECISION = {"TIMESTAMP", "TIMESTAMP_LTZ", "TIME"}
_WITH_LENGTH = {"CHAR", "CHARACTER", "VARCHAR", "BINARY", "VARBINARY"}
_OWN_TYPES = ("MULTISET", "RAW", "STRUCTURED", "BITMAP", "NULL")

TYPE_NAMES: tuple[str, ...] = (*TYPE_TOKENS, "INTERVAL", *_OWN_TYPES)
INTERVAL_UNITS: tuple[str, ...] = (
    "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND",
    "NANOSECOND", "YEARS", "QUARTERS", "MONTHS", "WEEKS", "DAYS", "HOURS", "MINUTES", "SECONDS",
)  # fmt: skip


class TypeParser(TokenParser):
    """Adds ``_parse_types``, whose signature is sqlglot's."""

    def _parse_types(
        self,
        check_func: bool = False,
        schema: bool = False,
        allow_identifiers: bool = True,
        with_collation: bool = False,
    ) -> exp.Expr | None:
        """A type, or None when the next token cannot start one."""
        data_type = self._simple_type()
        if data_type is None:
            return None
        while True:
            self._nullability(data_type)
            if self._match(TokenType.ARRAY):
                data_type = exp.DataType(this=exp.DType.ARRAY, expressions=[data_type], nested=True)
            elif self._take("MULTISET"):
                data_type = _own_type("MULTISET", [data_type])
            else:
                return data_type

    def _type(self) -> exp.DataType:
        data_type = self._parse_types()
        if not isinstance(data_type, exp.DataType):
            raise self._error("expected a data type", candidates=TYPE_NAMES)
        return data_type

    def _nullability(self, data_type: exp.DataType) -> None:
        if self._take("NOT", "NULL"):
            data_type.set("nullable", False)
        elif self._curr.token_type == TokenType.NULL:
            self._advance()  # nullable is the default

    def _column_type(self) -> exp.DataType:
        """The type of a column: its NOT NULL stays behind, it belongs to the column."""
        data_type = self._simple_type()
        if data_type is None:
            raise self._error("expected a data type", candidates=TYPE_NAMES)
        while True:
            if self._match(TokenType.ARRAY):
                data_type = exp.DataType(this=exp.DType.ARRAY, expressions=[data_type], nested=True)
            elif self._take("MULTISET"):
                data_type = _own_type("MULTISET", [data_type])
            else:
                return data_type

    def _simple_type(self) -> exp.DataType | None:
        token = self._curr
        word = token.text.upper() if token.token_type not in self.TEXT_MATCH_EXCLUDED_TOKENS else ""
        if word in TYPE_TOKENS:
            self._advance()
            return self._span(self._known_type(word), token)
        if word == "INTERVAL":
            self._advance()
            return self._span(exp.DataType(this=exp.Interval(unit=self._interval_qualifier())), token)
        if word == "ROW":
            self._advance()
            return self._span(
                exp.DataType(this=exp.DType.STRUCT, expressions=self._row_fields(), nested=True), token
            )
        if word in _OWN_TYPES:
            self._advance()
            return self._span(self._other_type(word), token)
        return None

    def _known_type(self, word: str) -> exp.DataType:
        dtype = exp.DType[TYPE_TOKENS[word].name]
        if word in ("ARRAY", "MAP"):
            return exp.DataType(this=dtype, expressions=self._element_types(word), nested=True)
        if word == "DOUBLE":
            self._take("PRECISION")
        elif word in ("CHAR", "CHARACTER") and self._take("VARYING"):
            dtype = exp.DType.VARCHAR
        parameters: list[exp.Expr] = []
        if word in _WITH_PRECISION or word in _WITH_LENGTH or dtype == exp.DType.DECIMAL:
            parameters = self._type_parameters(2 if dtype == exp.DType.DECIMAL else 1)
        if word in ("TIMESTAMP", "TIME"):
            dtype = self._zone(word, dtype)
        return exp.DataType(this=dtype, expressions=parameters) if parameters else exp.DataType(this=dtype)

    def _zone(self, word: str, dtype: exp.DType) -> exp.DType:
        if self._take("WITHOUT", "TIME", "ZONE"):
            return dtype
        if word == "TIMESTAMP" and self._take("WITH", "LOCAL", "TIME", "ZONE"):
            return exp.DType.TIMESTAMPLTZ
        if word == "TIMESTAMP" and self._take("WITH", "TIME", "ZONE"):
            return exp.DType.TIMESTAMPTZ
        return dtype

    def _type_parameters(self, most: int) -> list[exp.Expr]:
        if not self._match(TokenType.L_PAREN):
            return []
        numbers = self._parse_csv(lambda: self._integer("a length or precision"))
        if len(numbers) > most:
            raise self._error(f"expected at most {most} parameters", self._prev)
        self._match_r_paren()
        return [exp.DataTypeParam(this=number) for number in numbers]

    def _element_types(self, word: str) -> list[exp.DataType]:
        self._need_token(TokenType.LT, "<")
        types = [self._type()]
        if word == "MAP":
            self._need_token(TokenType.COMMA, "',' and the type of the values")
            types.append(self._type())
        self._close_angle()
        return types

    def _close_angle(self) -> None:
        self._need_token(TokenType.GT, ">")

    def _row_fields(self) -> list[exp.Expr]:
        if self._match(TokenType.L_PAREN):
            fields = self._parse_csv(self._row_field)
            self._match_r_paren()
            return fields
        if self._match(TokenType.NEQ):  # ROW<> reads as one token
            return []
        self._need_token(TokenType.LT, "< and the fields of the row")
        fields = [] if self._match(TokenType.GT, advance=False) else self._parse_csv(self._row_field)
        self._close_angle()
        return fields

    def _row_field(self) -> exp.Expr:
        name = self._name("a field name")
        field = exp.ColumnDef(this=name, kind=self._type())
        if self._curr.token_type in self.STRING_PARSERS:
            comment = exp.CommentColumnConstraint(this=self._string("a comment"))
            field.set("constraints", [exp.ColumnConstraint(kind=comment)])
        return self._span(field, name)

    def _other_type(self, word: str) -> exp.DataType:
        if word == "NULL":
            return exp.DataType(this=exp.DType.NULL)
        if word == "MULTISET":
            return _own_type(word, list(self._element_types(word)))
        if word == "RAW":
            self._match_l_paren()
            strings: list[exp.Expr] = [self._string("a class name")]
            self._need_token(TokenType.COMMA, "','")
            strings.append(self._string("a serializer snapshot"))
            self._match_r_paren()
            return _own_type(word, strings)
        if word == "STRUCTURED":
            self._need_token(TokenType.LT, "<")
            members: list[exp.Expr] = [self._string("a class name")]
            while self._match(TokenType.COMMA):
                members.append(self._row_field())
            self._close_angle()
            return _own_type(word, members)
        return _own_type(word, [])

    def _interval_qualifier(self) -> exp.Expr:
        """``DAY``, ``DAY(3) TO SECOND(2)``: a Var, or an IntervalSpan of two; the precision is part of the
        Var.
        """
        first = self._interval_unit()
        if self._take("TO"):
            return self.expression(exp.IntervalSpan(this=first, expression=self._interval_unit()))
        return first

    def _interval_unit(self) -> exp.Var:
        token = self._curr
        unit = self._take_any(*INTERVAL_UNITS)
        if unit is None:
            raise self._error(
                "expected a unit such as SECOND, MINUTE, HOUR or DAY", candidates=INTERVAL_UNITS
            )
        unit = unit.removesuffix("S")
        if self._match(TokenType.L_PAREN):
            digits = self._parse_csv(lambda: self._integer("a precision"))
            self._match_r_paren()
            unit = f"{unit}({', '.join(digit.name for digit in digits)})"
        return self._span(exp.var(unit), token)


def _own_type(kind: str, members: list[exp.Expr] | list[exp.DataType]) -> exp.DataType:
    return exp.DataType(this=exp.DType.USERDEFINED, kind=kind, expressions=list(members))
