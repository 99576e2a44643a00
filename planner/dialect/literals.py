"""What stands inside ``U&'...'`` and ``E'...'``."""

from __future__ import annotations

import re

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_C_ESCAPE = re.compile(
    r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))|''", re.DOTALL
)


def decode_unicode_string(text: str, escape: str) -> str | None:
    r"""The text of ``U&'...'``; None when an escape is not followed by four hexadecimal digits.

    >>> decode_unicode_string(r"\263A!", "\\")
    '☺!'
    """
    quoted = re.escape(escape)
    unmatched = re.sub(f"{quoted}(?:{quoted}|[0-9A-Fa-f]{{4}})", "", text)
    if escape in unmatched:
        return None
    decoded = re.sub(
        f"{quoted}(?:({quoted})|([0-9A-Fa-f]{{4}}))",
        lambda match: escape if match[1] else chr(int(match[2], 16)),
        text,
    )
    return _join_surrogates(decoded)


def decode_escape_string(text: str) -> str | None:
    r"""The text of ``E'...'`` as typed between the quotes: the escapes of C, and a doubled quote for one.

    None when an escape is no character.

    >>> decode_escape_string(r"a\tb\u0041")
    'a\tbA'
    """

    def replace(match: re.Match[str]) -> str:
        digits = match[1] or match[2] or match[3]
        if digits:
            return chr(int(digits, 16))
        if match[4]:
            return chr(int(match[4], 8))
        return _ESCAPES.get(match[5], match[5]) if match[5] else "'"

    try:
        return _join_surrogates(_C_ESCAPE.sub(replace, text))
    except (ValueError, OverflowError):  # beyond the last code point
        return None


def _join_surrogates(text: str) -> str | None:
    """Java writes characters beyond the first 65,536 as two escapes."""
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return None
