"""Writes the pages that repeat what the code declares: `make docs`.

tests/test_docs.py fails when one of them is out of date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from streamsql.catalog.connectors import CONNECTORS, FORMATS, ConnectorDescriptor, FormatDescriptor
from streamsql.changelog import ChangelogMode
from streamsql.config_options import HONOURED, REFUSED
from streamsql.options import ConfigOption, format_value
from streamsql.planner.functions.base import AggregateDef, FunctionDef
from streamsql.planner.functions.conversion import CASTS
from streamsql.planner.functions.registry import (
    AGGREGATES,
    DIFFERENCES,
    GROUP_FUNCTIONS,
    MATCH_FUNCTIONS,
    SCALARS,
    UNSUPPORTED,
)

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py from the code: change that, then `make docs`. -->"
KINDS = {"bool": "boolean", "enum": "one of"}
MODES = {
    ChangelogMode.INSERT_ONLY: "inserts",
    ChangelogMode.RETRACT: "inserts, updates and deletions",
    ChangelogMode.UPSERT: "updates and deletions by primary key",
}


def main() -> None:
    """Writes every page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


def options_page() -> str:
    """Session options."""
    supported = sorted(HONOURED, key=lambda o: o.key)
    parts = [
        NOTE,
        "# Session options",
        "Set with `SET 'key' = 'value'`, back to the default with `RESET 'key'`. Names, defaults and the way "
        "values are written are Flink's; those that begin with `streamsql.` are ours. A duration is a number "
        "and a unit (`500 ms`, `10 s`, `1 h`), a size likewise (`64 mb`).",
        option_table(supported),
        "## Known and refused",
        "These options of Flink are recognised. Each may be set to its default, which changes nothing; any "
        "other value is refused with the reason given here.",
    ]
    for reason in dict.fromkeys(o.unsupported or "" for o in REFUSED):
        keys = ", ".join(
            f"`{o.key}`" for o in sorted(REFUSED, key=lambda o: o.key) if o.unsupported == reason
        )
        parts.append(f"- {reason[:1].upper()}{reason[1:]}: {keys}.")
    return "\n\n".join(parts) + "\n"


def connectors_page() -> str:
    """Connectors and formats: what they do, their options and metadata columns."""
    parts = [
        NOTE,
        "# Connectors and formats",
        "The options of `CREATE TABLE ... WITH (...)`. An option that is not listed is refused, and the "
        "error names the nearest one.",
        "## Connectors",
    ]
    for connector in sorted(CONNECTORS.values(), key=lambda c: c.name):
        parts += connector_section(connector)
    parts.append("## Formats")
    parts.append(
        "An option is written with the format's name before it: `'json.ignore-parse-errors' = 'true'`, or "
        "`'key.json...'` and `'value.json...'` where key and value have formats of their own."
    )
    for format_ in sorted(FORMATS.values(), key=lambda f: f.name):
        parts += format_section(format_)
    return "\n\n".join(parts) + "\n"


def connector_section(connector: ConnectorDescriptor) -> list[str]:
    """Paragraphs about one connector."""
    abilities = [name for name, able in (("source", connector.scan), ("sink", connector.sink)) if able]
    lines = [f"- Use: {' and '.join(abilities)}."]
    if connector.scan:
        lines.append(f"- Reading it yields {MODES[connector.source_mode]}.")
    if connector.sink:
        lines.append(f"- Writing takes {'; or '.join(MODES[m] for m in connector.sink_modes)}.")
    if connector.needs_primary_key:
        lines.append("- Needs a `PRIMARY KEY ... NOT ENFORCED`.")
    if connector.formats:
        lines.append(f"- Formats: {', '.join(f'`{f}`' for f in connector.formats)}.")
    rows = [
        (f"`{k}`", code(t.sql()), "read and write" if w else "read")
        for k, (t, w) in connector.metadata.items()
    ]
    parts = [f"### {connector.name}", *filter(None, [sentence(connector.description)]), "\n".join(lines)]
    parts += [option_table(connector.options)] if connector.options else ["No options."]
    return parts + metadata_table(rows)


def format_section(format_: FormatDescriptor) -> list[str]:
    """Paragraphs about one format."""
    rows = [(f"`{k}`", code(t.sql()), "read") for k, t in format_.metadata.items()]
    parts = [f"### {format_.name}", f"Carries {MODES[format_.changelog_mode]}."]
    parts += [option_table(format_.options)] if format_.options else ["No options."]
    return parts + metadata_table(rows)


def functions_page() -> str:
    """Built-in functions and operators by category."""
    every: tuple[FunctionDef | AggregateDef, ...] = (*SCALARS, *AGGREGATES)
    functions = [f for f in every if f.description]  # the others are forms of one that has a description
    parts = [
        NOTE,
        "# Functions",
        "Result types and the treatment of NULL are Flink's. Arguments in brackets may be left out. Names "
        "may be written in any case.",
        "In signatures `INT` is any integer type, `DOUBLE` and `NUMERIC` any number, `POINT` a DATE, TIME, TIMESTAMP "
        "or TIMESTAMP_LTZ, `DATETIME` the same without TIME, and `TEXT` a string or bytes.",
        "## Where results differ from Flink's",
        "\n".join(f"- {sentence(text)}" for text in DIFFERENCES),
    ]
    for category in dict.fromkeys(f.category for f in functions):
        rows = [function_row(f) for f in functions if f.category == category]
        if category == "conversion":
            rows = [*((code(usage), escape(kind), sentence(text)) for usage, kind, text in CASTS), *rows]
        parts += [f"## {category[:1].upper()}{category[1:]}", table(("function", "result", "meaning"), rows)]
    beside = [
        (code(usage), code(result), sentence(text)) for _, usage, result, text in GROUP_FUNCTIONS.values()
    ]
    parts += ["## Beside GROUP BY", table(("function", "result", "meaning"), beside)]
    matching = [
        (code(usage), escape(result), sentence(text)) for usage, result, text in MATCH_FUNCTIONS.values()
    ]
    parts += ["## In MATCH_RECOGNIZE", table(("function", "result", "meaning"), matching)]
    parts.append("## Not supported")
    without = ", ".join(code(name) for name, instead in sorted(UNSUPPORTED.items()) if not instead)
    parts.append(f"These functions of Flink are known and refused by name: {without}. So are these:")
    remedies = [(code(name), sentence(text)) for name, text in sorted(UNSUPPORTED.items()) if text]
    parts.append(table(("function", "instead"), remedies))
    return "\n\n".join(parts) + "\n"


def function_row(function: FunctionDef | AggregateDef) -> tuple[str, str, str]:
    """Cells of one function."""
    also = f" Also {', '.join(map(code, function.aliases))}." if function.aliases else ""
    usage = "<br>".join(map(code, function.usage()))
    return usage, escape(function.result), sentence(function.description) + also


def metadata_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The table of metadata columns, if there are any."""
    return ["Metadata columns:", table(("key", "type", "use"), rows)] if rows else []


def option_table(options: Iterable[ConfigOption]) -> str:
    """One row an option."""
    return table(("option", "value", "default", "meaning"), [option_row(o) for o in options])


def option_row(option: ConfigOption) -> tuple[str, str, str, str]:
    """Cells of one option."""
    choices = ", ".join(f"`{c}`" for c in option.choices if c not in option.refused)
    kind = KINDS.get(option.kind, option.kind)
    meaning = [sentence(option.description)]
    meaning += [
        f"`{value}` is refused: {sentence(why, capital=False)}" for value, why in option.refused.items()
    ]
    if option.unsupported is not None:
        meaning.append(f"**Refused**: {sentence(option.unsupported, capital=False)}")
    return (
        f"`{option.key}`",
        f"{kind} {choices}".strip(),
        default_text(option),
        " ".join(filter(None, meaning)),
    )


def default_text(option: ConfigOption) -> str:
    """The default as one would write it."""
    if option.required:
        return "required"
    if option.default_text is not None:
        return option.default_text
    text = "" if option.default is None else format_value(option.default, option.kind)
    return f"`{text}`" if text else "none"


def code(text: str) -> str:
    """Text as code, also when it holds back-ticks."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def escape(text: str) -> str:
    """Plain text in Markdown."""
    return re.sub(r"([<*])", r"\\\1", text)


def sentence(text: str, *, capital: bool = True) -> str:
    """A phrase from the code as a sentence."""
    if not text:
        return ""
    capital = capital and text.split()[0].isalpha()  # not an example such as "host:port"
    start = text[0].upper() if capital else text[0]
    return escape(start + text[1:] + ("" if text.endswith(".") else "."))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


PAGES: dict[str, Callable[[], str]] = {
    "options.md": options_page,
    "connectors.md": connectors_page,
    "functions.md": functions_page,
}

if __name__ == "__main__":
    main()
