"""Colours for what is typed: the adapter from our tokenizer to prompt-toolkit."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.styles import Style

from streamsql.planner.highlight import tokens

STYLE = Style.from_dict(
    {
        "sql.keyword": "bold ansiblue",
        "sql.type": "ansicyan",
        "sql.function": "ansimagenta",
        "sql.string": "ansigreen",
        "sql.quoted": "ansiyellow",
        "sql.number": "ansicyan",
        "sql.comment": "italic ansibrightblack",
        "sql.hint": "italic ansibrightblack",
        "prompt": "bold",
        "prompt.continuation": "ansibrightblack",
        "toolbar.failed": "ansired",
        "view.title": "reverse",
        "view.header": "bold",
        "view.rule": "ansibrightblack",
        "view.selected": "reverse",
        "view.status": "ansicyan",
        "view.warning": "ansiyellow",
        "view.error": "bold ansired",
        "view.keys": "ansibrightblack",
        "view.insert": "ansigreen",
        "view.delete": "ansired",
        "view.update": "ansiyellow",
    }
)


class SqlLexer(Lexer):
    """Tokenizes the whole text, because strings and comments run over lines."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        lines = styled_lines(document.text)
        return lambda i: lines[i] if i < len(lines) else []


def styled_lines(text: str) -> list[StyleAndTextTuples]:
    """Per line of ``text`` its fragments with style classes."""
    lines: list[StyleAndTextTuples] = [[]]

    def add(style: str, part: str) -> None:
        for i, piece in enumerate(part.split("\n")):
            if i:
                lines.append([])
            if piece:
                lines[-1].append((style, piece))

    end = 0
    for token in tokens(text):
        add("", text[end : token.start])
        add(f"class:sql.{token.kind}", text[token.start : token.end])
        end = token.end
    add("", text[end:])
    return lines
