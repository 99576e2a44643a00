"""What stands inside ``U&'...'`` and ``E'...'``."""

from __future__ import annotations

import re

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_C_ESCAPE = re.compile(
    r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))", re.DOTALL
)


def decode_unicode_string(text: str, escape: str) -> str | None:
    r"""The text of ``U&'...'``; None when an escape is not followed by four hexadecimal digits.

    >>> decode_unicode_string(r"\263A!", "\\")
    '☺!'
    """
    quoted = re.escape(escape)
    decoded = re.sub(
        f"{quoted}(?:({quoted})|([0-9A-Fa-f]{{4}}))",
        lambda match: escape if match[1] else chr(int(match[2], 16)),
        text,
    )
    unmatched = re.sub(f"{quoted}(?:{quoted}|[0-9A-Fa-f]{{4}})", "", text)
    return None if escape in unmatched else decoded


def decode_escape_string(text: str) -> str:
    r"""The text of ``E'...'``, with the escapes of C.

    >>> decode_escape_string(r"a\tb\u0041")
    'a\tbA'
    """

    def replace(match: re.Match[str]) -> str:
        digits = match[1] or match[2] or match[3]
        if digits:
            return chr(int(digits, 16))
        if match[4]:
            return chr(int(match[4], 8))
        return _ESCAPES.get(match[5], match[5])

    return _C_ESCAPE.sub(replace, text)
