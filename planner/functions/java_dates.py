"""Java date patterns (``yyyy-MM-dd HH:mm:ss.SSS``) as strftime formats, or a refusal that names the letter."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from streamsql.errors import UnsupportedError

from ..sql_parts import quote

_FORMATS = {
    "yyyy": "%Y", "y": "%Y", "uuuu": "%Y", "u": "%Y", "yy": "%y", "uu": "%y",
    "MM": "%m", "M": "%-m", "MMM": "%b", "MMMM": "%B", "L": "%-m", "LL": "%m", "LLL": "%b", "LLLL": "%B",
    "dd": "%d", "d": "%-d", "DDD": "%j", "D": "%-j",
    "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M", "m": "%-M", "ss": "%S", "s": "%-S",
    "E": "%a", "EE": "%a", "EEE": "%a", "EEEE": "%A", "a": "%p",
    "X": "%z", "XX": "%z", "XXX": "%z", "Z": "%z", "ZZ": "%z", "ZZZ": "%z", "x": "%z", "xx": "%z", "xxx": "%z",
}  # fmt: skip


@dataclass(frozen=True)
class DatePattern:
    """A pattern in parts: strftime formats, and runs of fraction digits (ints)."""

    parts: tuple[str | int, ...]
    letters: frozenset[str]

    @property
    def has_zone(self) -> bool:
        return bool(self.letters & set("XZx"))

    def print(self, sql: str) -> str:
        """SQL that formats a TIMESTAMP."""
        if self.has_zone:
            raise UnsupportedError("a time zone in a date pattern for printing is not supported")
        pieces: list[str] = []
        text = ""
        for part in self.parts:
            if isinstance(part, str) or part in (3, 6):
                text += part if isinstance(part, str) else {3: "%g", 6: "%f"}[part]
                continue
            pieces += [f"strftime({sql}, {quote(text)})"] if text else []
            pieces.append(f"rpad(left(strftime({sql}, '%f'), {min(part, 6)}), {part}, '0')")
            text = ""
        pieces += [f"strftime({sql}, {quote(text)})"] if text or not pieces else []
        return pieces[0] if len(pieces) == 1 else "(" + " || ".join(pieces) + ")"

    def parse(self, sql: str) -> str:
        """SQL that reads a TIMESTAMP (TIMESTAMPTZ with a zone), NULL where the text does not fit."""
        formats = "".join(p if isinstance(p, str) else ("%g" if p == 3 else "%f") for p in self.parts)
        formats = formats.replace("%-", "%")
        if not self.letters & set("yu"):
            return (
                f"try_strptime('1970 ' || {sql}, {quote('%Y ' + formats)})"  # strptime's own default is 1900
            )
        return f"try_strptime({sql}, {quote(formats)})"


def parse_pattern(pattern: str) -> DatePattern:
    """Read a pattern of SimpleDateFormat and DateTimeFormatter. Raises UnsupportedError naming a letter.

    >>> parse_pattern("yyyy-MM-dd'T'HH:mm").parts
    ('%Y-%m-%dT%H:%M',)
    """
    parts: list[str | int] = []
    letters: set[str] = set()
    chunks = pattern.split("'")
    for n, chunk in enumerate(chunks):
        if n % 2:
            parts.append(chunk.replace("%", "%%") if chunk else "'")
            continue
        for c, run in groupby(chunk):
            length = len(list(run))
            if not (c.isascii() and c.isalpha()):
                parts.append(c.replace("%", "%%") * length)
            elif c == "S":
                parts.append(length)
                letters.add(c)
            else:
                parts.append(_format(c * length, pattern))
                letters.add(c)
    return DatePattern(tuple(_merge(parts)), frozenset(letters))


def _format(run: str, pattern: str) -> str:
    found = _FORMATS.get(run)
    if found is None:
        raise UnsupportedError(
            f"'{run}' in the date pattern '{pattern}' is not supported",
            hint="use letters of yyyy MM dd HH mm ss SSS a E D",
        )
    return found


def _merge(parts: list[str | int]) -> list[str | int]:
    merged: list[str | int] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return merged
