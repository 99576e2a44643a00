"""Java regular expressions in RE2's syntax, or a refusal that names what RE2 lacks.

RE2 runs in linear time and so has no lookaround, no back-references and no possessive or atomic groups.
"""

from __future__ import annotations

import re

from streamsql.errors import UnsupportedError

_POSIX = {
    "Lower": "[[:lower:]]", "Upper": "[[:upper:]]", "ASCII": "[[:ascii:]]", "Alpha": "[[:alpha:]]",
    "Digit": "[[:digit:]]", "Alnum": "[[:alnum:]]", "Punct": "[[:punct:]]", "Graph": "[[:graph:]]",
    "Print": "[[:print:]]", "Blank": "[[:blank:]]", "Cntrl": "[[:cntrl:]]", "XDigit": "[[:xdigit:]]",
    "Space": "[[:space:]]", "IsAlphabetic": r"\pL", "IsDigit": r"\p{Nd}", "IsLetter": r"\pL",
}  # fmt: skip
_REFUSED_GROUPS = {
    "(?=": "lookahead", "(?!": "negative lookahead", "(?<=": "lookbehind", "(?<!": "negative lookbehind",
    "(?>": "an atomic group",
}  # fmt: skip
_REFUSED_ESCAPES = {"G": "\\G", "R": "\\R", "X": "\\X", "k": "a back-reference", "N": "\\N"}


def to_re2(pattern: str) -> str:
    """The same regular expression for RE2. Raises UnsupportedError naming the construct.

    >>> to_re2(r"(?<year>\\d+)-\\h*x")
    '(?P<year>\\\\d+)-[ \\\\t]*x'
    """
    out: list[str] = []
    i, in_class = 0, False
    while i < len(pattern):
        if pattern[i] == "\\":
            text, i = _escape(pattern, i, in_class)
        elif in_class:
            text, i, in_class = _in_class(pattern, i)
        elif pattern[i] == "[":
            text, i, in_class = "[", i + 1, True
        elif pattern[i] == "(":
            text, i = _group(pattern, i)
        else:
            if pattern[i] == "+" and _quantified(pattern, i):
                raise _refused("a possessive quantifier", pattern)
            text, i = pattern[i], i + 1
        out.append(text)
    return "".join(out)


def _refused(what: str, pattern: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what} in the regular expression '{pattern}' is not supported",
        hint="rewrite the pattern without it; several simple conditions may do",
    )


def _quantified(pattern: str, i: int) -> bool:
    """Whether the ``+`` at ``i`` follows a quantifier and so makes it possessive."""
    if i == 0 or (i >= 2 and pattern[i - 2] == "\\"):
        return False
    return pattern[i - 1] in "*+?" or (
        pattern[i - 1] == "}" and re.search(r"\{\d+(,\d*)?\}$", pattern[:i]) is not None
    )


def _group(pattern: str, i: int) -> tuple[str, int]:
    for start, what in _REFUSED_GROUPS.items():
        if pattern.startswith(start, i):
            raise _refused(what, pattern)
    if pattern.startswith("(?<", i):
        return "(?P<", i + 3
    return "(", i + 1


def _in_class(pattern: str, i: int) -> tuple[str, int, bool]:
    if pattern.startswith("&&", i):
        raise _refused("an intersection of character classes", pattern)
    if pattern[i] == "[" and not pattern.startswith("[:", i):
        if pattern[i - 1] == "[":
            return "[", i + 1, True
        raise _refused("a nested character class", pattern)
    if pattern[i] == "]" and pattern[i - 1] != "[":
        return "]", i + 1, False
    return pattern[i], i + 1, True


def _escape(pattern: str, i: int, in_class: bool) -> tuple[str, int]:
    c = pattern[i + 1 : i + 2]
    if c in _REFUSED_ESCAPES and c:
        raise _refused(_REFUSED_ESCAPES[c], pattern)
    if c.isdigit() and c != "0" and not in_class:
        raise _refused("a back-reference", pattern)
    if c == "h":
        return (r" \t" if in_class else r"[ \t]"), i + 2
    if c == "Z":
        return r"\z", i + 2
    if c == "e":
        return r"\x1b", i + 2
    if c == "u" and re.fullmatch("[0-9a-fA-F]{4}", pattern[i + 2 : i + 6]):
        return f"\\x{{{pattern[i + 2 : i + 6]}}}", i + 6
    if c in ("p", "P") and pattern[i + 2 : i + 3] == "{":
        end = pattern.index("}", i) if "}" in pattern[i:] else len(pattern)
        return _property(pattern, pattern[i + 3 : end], c == "P", in_class), end + 1
    return pattern[i : i + 2], i + 2


def _property(pattern: str, name: str, negated: bool, in_class: bool) -> str:
    if name.startswith(("java", "In")):
        raise _refused(f"\\p{{{name}}}", pattern)
    found = _POSIX.get(name)
    if found is None:
        return f"\\{'P' if negated else 'p'}{{{name.removeprefix('Is')}}}"
    if found.startswith("\\"):
        return found.replace("\\p", "\\P") if negated else found
    inner = found[1:-1]
    inner = inner.replace("[:", "[:^") if negated else inner
    return inner if in_class else f"[{inner}]"


def group_count(pattern: str) -> int | None:
    """How many groups the pattern has, or None where Python cannot read it."""
    try:
        return re.compile(pattern).groups
    except re.error:
        return None


def is_valid(pattern: str) -> bool:
    """Whether the translated pattern compiles; Python's syntax is close enough to RE2's to tell."""
    return (
        group_count(
            re.sub(r"\\p\{\w+\}|\\pL|\\z", "a", re.sub(r"\[\[:\^?\w+:\]\]|\[:\^?\w+:\]", "a", pattern))
        )
        is not None
    )
