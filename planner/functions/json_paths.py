"""SQL/JSON paths (``lax $.a[0]['b c'].*``) in DuckDB's syntax, or a refusal that names the step."""

from __future__ import annotations

import re
from dataclasses import dataclass

from streamsql.errors import UnsupportedError, ValidationError

_MODE = re.compile(r"^\s*(strict|lax)\s+(.+)$", re.IGNORECASE | re.DOTALL)
_STEPS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\.\.\s*(?P<name>[^\s.\[\]'\"*()?@]+)"), "deep"),
    (re.compile(r"\.?\[\s*(?P<index>\d+)\s*\]"), "index"),
    (re.compile(r"\.?\[\s*\*\s*\]"), "all"),
    (re.compile(r"\.?\[\s*(?P<quote>['\"])(?P<name>.*?)(?P=quote)\s*\]", re.DOTALL), "name"),
    (re.compile(r"\.\*"), "fields"),
    (re.compile(r"\.(?P<name>[^.\[\]'\"*()?@]+)"), "name"),
)


@dataclass(frozen=True)
class JsonPath:
    """A path for DuckDB. ``lax``: what is missing is empty, not an error. ``many``: it may match several values."""

    duckdb: str
    lax: bool
    many: bool


def parse_path(text: str) -> JsonPath:
    """Read a path; without a mode it is strict, as in Flink.

    >>> parse_path("lax $.a['b c'][0]")
    JsonPath(duckdb='$."a"."b c"[0]', lax=True, many=False)
    """
    mode = _MODE.match(text)
    lax = mode is not None and mode[1].lower() == "lax"
    path = (mode[2] if mode else text).strip()
    if not path.startswith("$"):
        raise ValidationError(
            f"the JSON path '{text}' does not start with $", hint="write '$.field' or 'lax $.field'"
        )
    out, at, many = ["$"], 1, False
    while at < len(path):
        matches = ((kind, pattern.match(path, at)) for pattern, kind in _STEPS)
        kind, found = next(((k, m) for k, m in matches if m), ("", None))
        if found is None:
            raise UnsupportedError(
                f"the step '{path[at:]}' of the JSON path '{text}' is not supported",
                hint="steps are .name, ['name'], [0], [*], .* and ..name",
            )
        many = many or kind in ("deep", "all", "fields")
        out.append(_step(kind, found))
        at = found.end()
    return JsonPath("".join(out), lax, many)


def _step(kind: str, found: re.Match[str]) -> str:
    if kind == "index":
        return f"[{found['index']}]"
    if kind in ("all", "fields"):
        return "[*]" if kind == "all" else ".*"
    name = found["name"].strip() if kind == "deep" or "quote" not in found.groupdict() else found["name"]
    if '"' in name:
        raise UnsupportedError(f"the name {name!r} in a JSON path is not supported")
    return f'{".." if kind == "deep" else "."}"{name}"'
