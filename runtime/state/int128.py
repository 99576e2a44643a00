"""Vectorised 128-bit integers, the unscaled values of DECIMAL: sums and extremes per slot.

Arrays have dtype :data:`INT128` (two's complement, ``lo`` and ``hi``). Sums are formed in four 32-bit limbs
held in int64 lanes, where 2**31 addends cannot overflow; a result beyond 38 digits raises OverflowError.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .buffers import I64, INT128, Bools, Raw

MAX_DIGITS = 38

_M32 = 0xFFFF_FFFF


def from_ints(values: list[int]) -> Raw:
    """Python integers of up to 127 bits; for tests and constants."""
    data = b"".join(v.to_bytes(16, "little", signed=True) for v in values)
    return np.frombuffer(data, INT128).copy()


def to_ints(values: Raw) -> list[int]:
    """Python integers; for tests and messages."""
    pairs = zip(values["hi"].tolist(), values["lo"].tolist(), strict=True)
    return [(hi << 64) | lo for hi, lo in pairs]


def less(a: Raw, b: Raw) -> Bools:
    return np.asarray((a["hi"] < b["hi"]) | ((a["hi"] == b["hi"]) & (a["lo"] < b["lo"])))


def add_at(target: Raw, slots: I64, values: Raw, *, unique: bool = False) -> None:
    """``target[slots] += values`` where equal slots add up; on OverflowError ``target`` is unchanged."""
    if not len(slots):
        return
    sums = _limbs(values)
    if not unique:
        order = np.argsort(slots, kind="stable")
        slots = slots[order]
        starts = np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))
        slots = slots[starts]
        sums = sums.summed(order, starts)
    target[slots] = _pack(_limbs(target[slots]).plus(sums))


def extremum_at(target: Raw, slots: I64, values: Raw, *, largest: bool) -> None:
    """``target[slots]`` becomes the larger (or smaller) of itself and ``values``; slots may repeat."""
    if not len(slots):
        return
    order = np.lexsort((values["lo"], values["hi"], slots))
    ordered = slots[order]
    change = ordered[1:] != ordered[:-1]
    picked = order[np.append(change, True) if largest else np.append(True, change)]
    slots, values = slots[picked], values[picked]
    held = target[slots]
    better = less(held, values) if largest else less(values, held)
    target[slots[better]] = values[better]


def check_digits(values: Raw) -> None:
    """Raises OverflowError unless every value has at most :data:`MAX_DIGITS` digits."""
    limit = from_ints([10**MAX_DIGITS, -(10**MAX_DIGITS)])
    wrong = ~(less(values, limit[0]) & less(limit[1], values))
    if wrong.any():
        value = to_ints(values[np.flatnonzero(wrong)[:1]])[0]
        raise OverflowError(f"{value} does not fit DECIMAL({MAX_DIGITS}, …): more than {MAX_DIGITS} digits")


@dataclass(frozen=True)
class _Limbs:
    """Four 32-bit limbs, lowest first, in int64 lanes; only the top one is signed once carried."""

    lanes: tuple[I64, I64, I64, I64]

    def plus(self, other: _Limbs) -> _Limbs:
        a, b, c, d = (x + y for x, y in zip(self.lanes, other.lanes, strict=True))
        return _Limbs((a, b, c, d))

    def summed(self, order: I64, starts: I64) -> _Limbs:
        a, b, c, d = (np.add.reduceat(x[order], starts) for x in self.lanes)
        return _Limbs((a, b, c, d))


def _limbs(a: Raw) -> _Limbs:
    lo, hi = a["lo"], a["hi"]
    return _Limbs(((lo & _M32).astype(np.int64), (lo >> 32).astype(np.int64), hi & _M32, hi >> 32))


def _pack(limbs: _Limbs) -> Raw:
    """Carries from limb to limb; every result is checked, as two sums of 38 digits may need 129 bits."""
    a, b, c, d = limbs.lanes
    b = b + (a >> 32)
    c = c + (b >> 32)
    d = d + (c >> 32)
    if len(d) and (d.max() > 0x7FFF_FFFF or d.min() < -0x8000_0000):
        raise OverflowError(f"the result does not fit DECIMAL({MAX_DIGITS}, …): more than 128 bits")
    result = np.empty(len(a), INT128)
    result["lo"] = ((a & _M32) | ((b & _M32) << 32)).view(np.uint64)
    result["hi"] = (c & _M32) | (d << 32)
    check_digits(result)
    return result
