"""Completion as prompt-toolkit wants it: kinds from ``completion.py``, names from the catalog."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from prompt_toolkit.completion import CompleteEvent, Completer
from prompt_toolkit.completion import Completion as Offer
from prompt_toolkit.document import Document

from streamsql.planner.highlight import KEYWORDS

from .completion import Completion, Kind, Suggestion, suggest
from .engine import CompletionSource
from .scope import Relation

NESTING_MAX = 8  # relations inside relations; a loop cannot arise, deep text can
_WORDS = frozenset({Kind.KEYWORD, Kind.TYPE, Kind.COMMAND, Kind.FUNCTION})  # found by their beginning only
_PLAIN = re.compile(r"[^\W\d]\w*")


class SqlCompleter(Completer):
    """``source`` gives the session's names at the moment of asking."""

    def __init__(self, source: Callable[[], CompletionSource]) -> None:
        self._source = source

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Offer]:
        found = suggest(document.text, document.cursor_position)
        begun = found.prefix or found.quote == "'" or document.text_before_cursor.endswith(".")
        if not begun and not complete_event.completion_requested:
            return  # while typing, only offer once there is something to go by
        for text, meta in offers(found, self._source()):
            yield Offer(text, start_position=-len(found.prefix), display_meta=meta)


def offers(found: Completion, source: CompletionSource) -> list[tuple[str, str]]:
    """Texts that fit, with their kind or description; those that begin with what is typed come first."""
    typed = found.prefix.lower()
    starting: list[tuple[str, str]] = []
    holding: list[tuple[str, str]] = []
    seen: set[str] = set()
    for suggestion in found.suggestions:
        for name, meta in names(suggestion, source):
            if name in found.given or name in seen or typed not in name.lower():
                continue
            seen.add(name)
            text = _as_typed(name, suggestion.kind, found)
            if name.lower().startswith(typed):
                starting.append((text, meta))
            elif len(typed) > 1 and suggestion.kind not in _WORDS:
                holding.append((text, meta))
    starting.sort(key=lambda offer: offer[0].lower() != typed)  # what is typed in full comes first
    return starting + holding


def _as_typed(name: str, kind: Kind, found: Completion) -> str:
    """The name as it goes into the text: keywords in the typed case, names in back-ticks where needed."""
    if kind in _WORDS:
        text = name.lower() if found.prefix[:1].islower() else name
        return text + "(" if kind is Kind.FUNCTION and not text.endswith("(") else text
    if found.quote == "'":
        return name
    if kind in (Kind.OPTION, Kind.SESSION_OPTION, Kind.CONNECTOR, Kind.JOB):
        return f"'{name}'"
    if found.quote == "`" or _PLAIN.fullmatch(name) is None or name.upper() in KEYWORDS:
        closed = name.replace("`", "``") + "`"
        return closed if found.quote == "`" else "`" + closed
    return name


def names(suggestion: Suggestion, source: CompletionSource) -> Iterable[tuple[str, str]]:
    """The names of one kind of thing, each with its meta text."""
    kind = suggestion.kind
    match kind:
        case Kind.TABLE:
            tables = [*source.tables(), *source.views()]
            if suggestion.path:  # the source lists the current database; which of its tables are there too?
                return [
                    (t, kind.value) for t in tables if source.columns(f"{suggestion.path}.{t}") is not None
                ]
            return [*((t, kind.value) for t in tables), *((d, "database") for d in source.databases())]
        case Kind.VIEW:
            found = source.views()
        case Kind.COLUMN:
            return [(c, r.alias or kind.value) for r in suggestion.relations for c in columns(r, source)]
        case Kind.FUNCTION:
            found = source.functions()
        case Kind.CONNECTOR:
            found = source.connectors()
        case Kind.OPTION:
            return (
                source.options(suggestion.connector)
                if suggestion.connector
                else [("connector", "the kind of table")]
            )
        case Kind.SESSION_OPTION:
            found = source.session_options()
        case Kind.CATALOG:
            found = source.catalogs()
        case Kind.DATABASE:
            found = source.databases()
        case Kind.JOB:
            found = source.job_ids()
        case Kind.KEYWORD | Kind.TYPE | Kind.NAME | Kind.COMMAND:
            found = list(suggestion.names)
    return [(name, kind.value) for name in found]


def columns(relation: Relation, source: CompletionSource, depth: int = 0) -> list[str]:
    """The columns of a relation: what the text says, and what the catalog knows."""
    if depth > NESTING_MAX:
        return []
    known = (source.columns(relation.table) or []) if relation.table else []
    inner = [c for part in relation.parts for c in columns(part, source, depth + 1)]
    return list(dict.fromkeys([*known, *relation.columns, *inner]))
