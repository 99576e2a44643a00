"""The hint OPTIONS of a table: options for this one reading or writing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.errors import Position, UnsupportedError, ValidationError

if TYPE_CHECKING:
    from .binder import QueryBinder


def hinted_options(binder: QueryBinder, table: exp.Table) -> dict[str, str]:
    """The OPTIONS hint of a table reference."""
    options: dict[str, str] = {}
    for hint in table.args.get("hints") or []:
        for call in hint.expressions:
            if call.name.upper() != "OPTIONS":
                raise UnsupportedError(
                    f"the hint {call.name} is not supported here", position=binder.position(hint)
                )
            check_dynamic_options(binder.context.dynamic_options, binder.position(hint))
            options.update({o.this.name: o.args["value"].name for o in call.expressions})
    return options


def check_dynamic_options(enabled: bool, position: Position | None) -> None:
    """Raises ValidationError for an OPTIONS hint where the session does not allow them."""
    if not enabled:
        raise ValidationError(
            "the OPTIONS hint is switched off",
            hint="SET 'table.dynamic-table-options.enabled'='true'",
            position=position,
        )
