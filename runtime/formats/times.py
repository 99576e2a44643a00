"""Texts of dates and times, as numbers: days since 1970, microseconds of the day, microseconds since 1970.

Strict forms only: ``2024-05-01``, ``10:00:00[.f]``, ``2024-05-01 10:00:00[.f]`` (standard ``SQL``) or with ``T``
(``ISO-8601``); a TIMESTAMP_LTZ ends in ``Z``. Up to nine fraction digits are read; those beyond the column's
precision are cut.
"""

from __future__ import annotations

import re
from datetime import date, datetime

_UNIT = (1_000_000, 100_000, 10_000, 1000, 100, 10, 1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1)
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?")
DAY_MICROS = 86_400_000_000


def date_days(text: str) -> int | None:
    """Days since 1970-01-01, or None for anything but a real ``yyyy-MM-dd``.

    >>> date_days("1970-01-11"), date_days("2023-02-29"), date_days("1970-1-1")
    (10, None, None)
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).toordinal() - _EPOCH_DAY
    except ValueError:
        return None


def time_micros(text: str, precision: int) -> int | None:
    """Microseconds since midnight, cut to ``precision`` fraction digits, or None.

    >>> time_micros("00:00:01.5", 3), time_micros("00:00:01.5", 0), time_micros("24:00:00", 0)
    (1500000, 1000000, None)
    """
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2]), int(match[3])
    if hour > 23 or minute > 59 or second > 59:
        return None
    fraction = int((match[4] or "").ljust(6, "0")[:6])
    return (hour * 3600 + minute * 60 + second) * 1_000_000 + cut(fraction, precision)


def timestamp_micros(text: str, precision: int, *, iso: bool, zoned: bool) -> int | None:
    """Microseconds since 1970-01-01 00:00:00 (UTC where ``zoned``), or None.

    >>> timestamp_micros("1970-01-01 00:00:01", 3, iso=False, zoned=False)
    1000000
    >>> timestamp_micros("1970-01-01T00:00:01.25Z", 3, iso=True, zoned=True)
    1250000
    """
    if zoned:
        if not text.endswith("Z"):
            return None
        text = text[:-1]
    found = _usual(text, "T" if iso else " ")
    if found is not None:
        return cut(found, precision)
    if text[10:11] != ("T" if iso else " "):
        return None
    days = date_days(text[:10])
    micros = time_micros(text[11:], precision)
    return None if days is None or micros is None else days * DAY_MICROS + micros


def _usual(text: str, separator: str) -> int | None:
    """The quick way for the usual lengths; None where it cannot tell."""
    size = len(text)
    if not (size == 19 or (size in (23, 26) and text[19] == ".")) or text[10] != separator:
        return None
    if text[4] != "-" or text[7] != "-" or text[13] != ":" or text[16] != ":" or text[11:13] == "24":
        return None
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        return None
    if stamp.tzinfo is not None:
        return None
    since = stamp - _EPOCH
    return since.days * DAY_MICROS + since.seconds * 1_000_000 + since.microseconds


def cut(micros: int, precision: int) -> int:
    """``micros`` without the digits beyond ``precision``, towards the past."""
    return micros - micros % _UNIT[precision]
