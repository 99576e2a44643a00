"""Arithmetic: Java's integers (wrapping, truncating), SQL Server's decimals, IEEE floats, and points in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from streamsql.datatypes import DOUBLE, INT, STRING, DataType, Root, common_type
from streamsql.errors import UnsupportedError

from ..sql_parts import cast, let, wrap
from . import decimals, moments
from .base import Coerce, Compile, FunctionDef, Infer, Invocation, TypeMismatch, literal_value, scalar
from .coercion import as_type, short, to_double

if TYPE_CHECKING:
    from ..expressions import Expr

CATEGORY = "arithmetic"


# -- operators -------------------------------------------------------------------------------------------------


def _operands(operator: str) -> Coerce:
    """Numbers of one type; points in time and intervals as they are."""

    def coerce(args: Sequence[Expr]) -> Sequence[Expr]:
        a, b = args[0].type, args[1].type
        if Root.NULL in (a.root, b.root):
            known = b if a.root is Root.NULL else a
            known = known if known.is_numeric else INT() if known.root is Root.NULL else known
            return tuple(as_type(x, known) if x.type.root is Root.NULL else x for x in args)
        if not (a.is_numeric and b.is_numeric):
            moments.check(operator, a, b)
            return args
        if a.is_exact and b.is_exact and Root.DECIMAL in (a.root, b.root):
            return args
        found = common_type(a, b)
        assert found is not None
        if operator == "%":
            if found.is_approximate:
                raise TypeMismatch(f"MOD takes exact numbers, found {short(a)} and {short(b)}")
            return args
        return tuple(as_type(x, found) for x in args)

    return coerce


def _infer(operator: str) -> Infer:
    def infer(args: Sequence[Expr]) -> DataType:
        a, b = args[0].type, args[1].type
        if not (a.is_numeric and b.is_numeric):
            return moments.result(operator, args[0], args[1])
        if a.is_exact and b.is_exact and Root.DECIMAL in (a.root, b.root):
            return decimals.result(operator, a, b)
        found = b if operator == "%" else common_type(a, b)
        assert found is not None
        return found

    return infer


def _compile(operator: str) -> Compile:
    def compile_(inv: Invocation) -> str:
        x, y = inv.args
        a, b = inv.types
        if not (a.is_numeric and b.is_numeric):
            return moments.arithmetic(operator, x, y, inv)
        if Root.DECIMAL in (a.root, b.root) and a.is_exact and b.is_exact:
            return decimals.arithmetic(operator, x, y, (a, b), inv.volatile)
        if inv.type.is_approximate:
            return cast(f"({x} {operator} {y})", inv.type.duckdb)
        if operator == "/":
            return cast(f"({x} // {y})", inv.type.duckdb)
        if operator == "%":
            return cast(f"({x} % {y})", inv.type.duckdb)
        wide = "HUGEINT" if inv.type.root is Root.BIGINT else "BIGINT"
        return wrap(f"CAST({x} AS {wide}) {operator} {y}", inv.type.root)

    return compile_


def _binary(name: str, description: str, syntax: str, aliases: tuple[str, ...] = ()) -> FunctionDef:
    return scalar(
        name, CATEGORY, "(ANY, ANY)", _infer(name), _compile(name), description,
        coerce=_operands(name), exact=True, form="infix", syntax=(syntax,), aliases=aliases,
        result_text="common type of the operands",
    )  # fmt: skip


def _negate(inv: Invocation) -> str:
    type_ = inv.type
    if not type_.is_integer:
        return f"(-{inv.args[0]})"
    wide = "HUGEINT" if type_.root is Root.BIGINT else "BIGINT"
    return wrap(f"-CAST({inv.args[0]} AS {wide})", type_.root)


def _abs(inv: Invocation) -> str:
    if not inv.type.is_integer:
        return f"abs({inv.args[0]})"
    wide = "HUGEINT" if inv.type.root is Root.BIGINT else "BIGINT"
    return wrap(f"abs(CAST({inv.args[0]} AS {wide}))", inv.type.root)


def _number_or_interval(args: Sequence[Expr]) -> DataType:
    if not (args[0].type.is_numeric or args[0].type.is_interval):
        raise TypeMismatch("a sign belongs to a number or an interval")
    return args[0].type


# -- rounding --------------------------------------------------------------------------------------------------


def _same(args: Sequence[Expr]) -> DataType:
    return args[0].type


def _whole(args: Sequence[Expr]) -> DataType:
    t = args[0].type
    return DataType(Root.DECIMAL, precision=t.precision) if t.root is Root.DECIMAL else t


def _digits(args: Sequence[Expr]) -> int:
    if len(args) < 2:
        return 0
    found = literal_value(args[1])
    if not isinstance(found, int):
        raise UnsupportedError(
            "ROUND and TRUNCATE of a DECIMAL need a constant number of digits", hint="write it as a literal"
        )
    return found


def _rounded(args: Sequence[Expr]) -> DataType:
    t = args[0].type
    return decimals.rounded(t, _digits(args)) if t.root is Root.DECIMAL else t


def _round_to(function: str) -> Compile:
    """ROUND half up and TRUNCATE toward zero; doubles by their decimal digits, as Java's BigDecimal.valueOf does."""

    def compile_(inv: Invocation) -> str:
        x, n = inv.args[0], inv.args[1] if len(inv.args) > 1 else "0"
        if inv.type.root is Root.DECIMAL:
            return f"TRY_CAST({function}({x}, {_digits(inv.call.args)}) AS {inv.type.duckdb})"
        dynamic = len(inv.args) > 1 and not isinstance(inv.constant(1), int)
        if inv.type.is_integer:
            if not dynamic and _digits(inv.call.args) >= 0:
                return x
            wide = "DOUBLE" if dynamic else "DECIMAL(38,0)"
            return wrap(f"CAST({function}(CAST({x} AS {wide}), {n}) AS HUGEINT)", inv.type.root)
        if dynamic:
            return cast(f"{function}({x}, {n})", inv.type.duckdb)
        return cast(let(x, lambda v: _round_double(function, v, n), volatile=inv.volatile), inv.type.duckdb)

    return compile_


def _round_double(function: str, x: str, n: str) -> str:
    exact = f"CAST({function}(CAST({x} AS DECIMAL(38,15)), {n}) AS DOUBLE)"
    return f"CASE WHEN abs({x}) < 1e15 THEN {exact} ELSE {function}(CAST({x} AS DOUBLE), {n}) END"


def _sign(inv: Invocation) -> str:
    return cast(f"sign({inv.args[0]})", inv.type.duckdb)


# -- the rest ----------------------------------------------------------------------------------------------------


def _double(name: str, sql: str, description: str, signature: str = "(DOUBLE)") -> FunctionDef:
    return scalar(name, CATEGORY, signature, DOUBLE(), sql, description, coerce=to_double)


def _log(inv: Invocation) -> str:
    if len(inv.args) == 1:
        return f"ln({inv.args[0]})"
    return f"(ln({inv.args[1]}) / ln({inv.args[0]}))"


def _unseeded(args: Sequence[Expr]) -> Sequence[Expr]:
    raise UnsupportedError(
        "RAND and RAND_INTEGER with a seed are not supported",
        hint="leave the seed away, or hash a column instead",
    )


def _no_seed(count: int) -> Callable[[Sequence[Expr]], Sequence[Expr]]:
    return lambda args: args if len(args) <= count else _unseeded(args)


def _hex(inv: Invocation) -> str:
    return f"to_hex(CAST({inv.args[0]} AS BIGINT))" if inv.types[0].is_numeric else f"hex({inv.args[0]})"


def _unhex(inv: Invocation) -> str:
    def decode(x: str) -> str:
        even = f"CASE WHEN length({x}) % 2 = 1 THEN '0' || {x} ELSE {x} END"
        return f"CASE WHEN regexp_full_match({x}, '[0-9A-Fa-f]*') THEN unhex({even}) END"

    return let(inv.args[0], decode, volatile=inv.volatile)


def _bin(inv: Invocation) -> str:
    return f"bin(CAST({inv.args[0]} AS BIGINT))"


def _hex_args(args: Sequence[Expr]) -> Sequence[Expr]:
    if not (args[0].type.is_integer or args[0].type.is_string):
        raise TypeMismatch("HEX takes an integer or a string")
    return args


_ROUND_TEXT = "type of the number; DECIMAL with the digits kept"

FUNCTIONS: tuple[FunctionDef, ...] = (
    _binary("+", "Sum; also a point in time plus an interval. Integers wrap around.", "numeric1 + numeric2"),
    _binary("-", "Difference; also a point in time minus an interval.", "numeric1 - numeric2"),
    _binary("*", "Product; also an interval times a number.", "numeric1 * numeric2"),
    _binary("/", "Quotient: integers truncate, a zero divisor of an exact number is an error.", "numeric1 / numeric2"),
    _binary("%", "Remainder with the sign of numeric1; exact numbers only. Also MOD(numeric1, numeric2).",
            "numeric1 % numeric2", aliases=("MOD",)),
    scalar("NEGATE", CATEGORY, "(ANY)", _number_or_interval, _negate, "The number with the other sign.",
           exact=True, render=lambda call: f"-({call.args[0].text()})", syntax=("- numeric",),
           result_text="type of the operand"),
    _double("POWER", "power({0}, {1})", "numeric1 raised to numeric2.", "(DOUBLE, DOUBLE)"),
    scalar("ABS", CATEGORY, "(NUMERIC)", _same, _abs, "The absolute value.", exact=True),
    _double("SQRT", "sqrt({0})", "The square root; NaN of a negative number."),
    _double("LN", "ln({0})", "The natural logarithm."),
    _double("LOG10", "log10({0})", "The logarithm to base 10."),
    _double("LOG2", "(ln({0}) / ln(2))", "The logarithm to base 2."),
    scalar("LOG", CATEGORY, "(DOUBLE[, DOUBLE])", DOUBLE(), _log,
           "The natural logarithm; with two arguments that of the second to the base of the first.",
           coerce=to_double, syntax=("LOG(numeric2)", "LOG(numeric1, numeric2)")),
    _double("EXP", "exp({0})", "e raised to the number."),
    scalar("CEIL", CATEGORY, "(NUMERIC)", _whole, "ceil({0})", "The smallest whole number not below it.",
           aliases=("CEILING",), result_text="type of the number; DECIMAL without digits behind the point"),
    scalar("FLOOR", CATEGORY, "(NUMERIC)", _whole, "floor({0})", "The largest whole number not above it.",
           result_text="type of the number; DECIMAL without digits behind the point"),
    _double("SIN", "sin({0})", "The sine."),
    _double("SINH", "sinh({0})", "The hyperbolic sine."),
    _double("COS", "cos({0})", "The cosine."),
    _double("COSH", "cosh({0})", "The hyperbolic cosine."),
    _double("TAN", "tan({0})", "The tangent."),
    _double("TANH", "tanh({0})", "The hyperbolic tangent."),
    _double("COT", "(1 / tan({0}))", "The cotangent."),
    _double("ASIN", "CASE WHEN abs({0}) <= 1 THEN asin({0}) WHEN {0} IS NOT NULL THEN CAST('NaN' AS DOUBLE) END",
            "The arc sine; NaN outside [-1, 1]."),
    _double("ACOS", "CASE WHEN abs({0}) <= 1 THEN acos({0}) WHEN {0} IS NOT NULL THEN CAST('NaN' AS DOUBLE) END",
            "The arc cosine; NaN outside [-1, 1]."),
    _double("ATAN", "atan({0})", "The arc tangent."),
    _double("ATAN2", "atan2({0}, {1})", "The arc tangent of a coordinate.", "(DOUBLE, DOUBLE)"),
    _double("DEGREES", "degrees({0})", "Radians as degrees."),
    _double("RADIANS", "radians({0})", "Degrees as radians."),
    scalar("SIGN", CATEGORY, "(NUMERIC)", _same, _sign, "-1, 0 or 1, by the sign."),
    scalar("ROUND", CATEGORY, "(NUMERIC[, INT])", _rounded, _round_to("round"),
           "Rounded half up to that many digits; negative digits round before the point.", result_text=_ROUND_TEXT),
    scalar("TRUNCATE", CATEGORY, "(NUMERIC[, INT])", _rounded, _round_to("trunc"),
           "Cut toward zero to that many digits.", result_text=_ROUND_TEXT),
    scalar("PI", CATEGORY, "()", DOUBLE(), "pi()", "The number pi.", nullable="never"),
    scalar("E", CATEGORY, "()", DOUBLE(), "exp(1)", "The number e.", nullable="never"),
    scalar("RAND", CATEGORY, ("()", "(INT)"), DOUBLE(), "random()", "A random number in [0, 1), anew for each row.",
           nullable="never", deterministic=False, volatile=True, coerce=_no_seed(0), syntax=("RAND()",)),
    scalar("RAND_INTEGER", CATEGORY, ("(INT)", "(INT, INT)"), INT(), "floor(random() * {0})",
           "A random integer in [0, bound).", deterministic=False, volatile=True, coerce=_no_seed(1),
           syntax=("RAND_INTEGER(bound)",)),
    scalar("UUID", CATEGORY, "()", STRING(), "CAST(uuid() AS VARCHAR)", "A random UUID, anew for each row.",
           nullable="never", deterministic=False, volatile=True),
    scalar("BIN", CATEGORY, "(INT)", STRING(), _bin, "The integer in binary digits; BIN(4) is '100'."),
    scalar("HEX", CATEGORY, "(ANY)", STRING(), _hex, "Hexadecimal digits of an integer, or of a text's bytes.",
           coerce=_hex_args, syntax=("HEX(numeric)", "HEX(string)")),
    scalar("UNHEX", CATEGORY, "(STRING)", DataType(Root.VARBINARY, length=2147483647), _unhex,
           "The bytes of hexadecimal digits; NULL for other characters.", nullable="always"),
)  # fmt: skip
