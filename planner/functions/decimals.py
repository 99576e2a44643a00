"""DECIMAL arithmetic: Flink's precision rules and the exact DuckDB SQL.

The rules are those of SQL Server: the exact result type, and where it needs more than 38 digits the scale gives way
down to 6. A result that does not fit then is NULL.

Source: Flink's LogicalTypeMerging and DecimalDataUtils.
"""

from __future__ import annotations

from streamsql.datatypes import DataType, Root, as_decimal

from ..sql_parts import cast, let

MAX = 38
MIN_SCALE = 6


def _decimal(precision: int, scale: int) -> DataType:
    return DataType(Root.DECIMAL, precision=precision, scale=scale)


def adjust(precision: int, scale: int) -> DataType:
    """The type for a result of that many digits, cut to 38.

    >>> adjust(57, 28).sql()
    'DECIMAL(38, 9)'
    """
    if precision <= MAX:
        return _decimal(precision, scale)
    return _decimal(MAX, max(MAX - (precision - scale), min(scale, MIN_SCALE)))


def raw_result(operator: str, left: DataType, right: DataType) -> tuple[int, int]:
    """Precision and scale of the exact result, before the limit of 38 digits."""
    a, b = as_decimal(left), as_decimal(right)
    p1, s1, p2, s2 = a.precision, a.scale, b.precision, b.scale
    if operator == "*":
        return p1 + p2 + 1, s1 + s2
    if operator == "/":
        scale = max(MIN_SCALE, s1 + p2 + 1)
        return p1 - s1 + s2 + scale, scale
    scale = max(s1, s2)
    if operator == "%":
        return min(p1 - s1, p2 - s2) + scale, scale
    return max(p1 - s1, p2 - s2) + scale + 1, scale


def result(operator: str, left: DataType, right: DataType) -> DataType:
    """The result type of ``left operator right``."""
    return adjust(*raw_result(operator, left, right))


def rounded(type_: DataType, digits: int) -> DataType:
    """The result type of ROUND and TRUNCATE to that many digits."""
    p, s = type_.precision, type_.scale
    if digits >= s:
        return _decimal(p, s)
    if digits < 0:
        return _decimal(min(MAX, 1 + p - s), 0)
    return _decimal(1 + p - s + digits, digits)


def arithmetic(operator: str, left: str, right: str, types: tuple[DataType, DataType], volatile: bool) -> str:
    """DuckDB SQL of an operator over two exact numbers of which one is a DECIMAL."""
    a, b = (as_decimal(t) for t in types)
    x = left if types[0].root is Root.DECIMAL else cast(left, a.duckdb)
    y = right if types[1].root is Root.DECIMAL else cast(right, b.duckdb)
    target = result(operator, a, b)
    capped = raw_result(operator, a, b)[0] > MAX
    if operator == "/":
        return _long_division(x, y, a, b, target, volatile) if capped else cast(
            f"decimal_division({x}, {y})", target.duckdb
        )  # fmt: skip
    if operator == "*" and a.scale + b.scale > MAX:
        sql = _long_product(x, y, a, b, target, volatile)
    else:
        sql = cast(f"({x} {operator} {y})", target.duckdb)
    return f"TRY({sql})" if capped and not volatile else sql


def _long_product(x: str, y: str, a: DataType, b: DataType, target: DataType, volatile: bool) -> str:
    """A product with more than 38 digits behind the point, which DuckDB refuses: by whole parts and fractions.

    Each part fits; the product of the fractions loses its last digits, far behind those that the result keeps.
    """
    excess = a.scale + b.scale - MAX
    part = f"DECIMAL({MAX},{target.scale + 1})"

    def product(u: str) -> str:
        def by(v: str) -> str:
            uf, vf = f"CAST({u} - trunc({u}) AS DECIMAL({a.scale},{a.scale}))", f"({v} - trunc({v}))"
            vf_short = f"CAST({vf} AS DECIMAL({b.scale - excess},{b.scale - excess}))"
            vf = f"CAST({vf} AS DECIMAL({b.scale},{b.scale}))"
            small = f"CAST(trunc({u}) * {vf} AS {part}) + CAST({uf} * trunc({v}) AS {part})"
            small += f" + CAST({uf} * {vf_short} AS {part})"
            return f"CAST(trunc({u}) * trunc({v}) AS {target.duckdb}) + CAST({small} AS {target.duckdb})"

        return let(y, by, volatile=volatile)

    return cast(let(x, product, volatile=volatile), target.duckdb)


def unscaled(sql: str, scale: int) -> str:
    """The digits of a DECIMAL as a HUGEINT. By its text: every product in DuckDB's decimals can overflow."""
    return cast(f"replace(CAST({sql} AS VARCHAR), '.', '')" if scale else sql, "HUGEINT")


def _long_division(x: str, y: str, a: DataType, b: DataType, target: DataType, volatile: bool) -> str:
    """Division in 128-bit integers, half up; NULL where the digits do not fit, an error for a zero divisor."""
    shift = target.scale - a.scale + b.scale
    numerator = (
        f"{unscaled(x, a.scale)} * {10**shift}" if shift >= 0 else f"{unscaled(x, a.scale)} // {10**-shift}"
    )

    def divide(n: str) -> str:
        def by(d: str) -> str:
            up = (
                f"CASE WHEN abs({n} % {d}) >= abs({d}) - abs({n} % {d}) THEN sign({n}) * sign({d}) ELSE 0 END"
            )
            digits = f"CAST({n} // {d} + {up} AS DECIMAL(38,0))"
            return f"({digits} * CAST(1e-{target.scale} AS DECIMAL(38,{target.scale})))"

        return let(unscaled(y, b.scale), by)

    value = cast(let(numerator, divide), target.duckdb)
    if volatile:
        return value
    return f"CASE WHEN {y} = 0 THEN CAST({x} % {y} AS {target.duckdb}) ELSE TRY({value}) END"
