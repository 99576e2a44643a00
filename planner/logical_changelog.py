"""TO_CHANGELOG and FROM_CHANGELOG: a changing table as rows that name their operation, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .logical import LogicalNode

KINDS = ("INSERT", "UPDATE_BEFORE", "UPDATE_AFTER", "DELETE")
Codes = tuple[tuple[str, str], ...]
"""Pairs of a code and one of KINDS."""


@dataclass(frozen=True, eq=False)
class _Converted(LogicalNode):
    input: LogicalNode
    codes: Codes
    partition: tuple[int, ...]

    @property
    def inputs(self) -> tuple[LogicalNode, ...]:
        return (self.input,)

    def with_inputs(self, inputs: Sequence[LogicalNode]) -> LogicalNode:
        return replace(self, input=inputs[0])

    def fields(self) -> list[tuple[str, str]]:
        """The pairs EXPLAIN prints."""
        names = self.input.schema.names
        pairs = [("partitionBy", ", ".join(names[i] for i in self.partition))] if self.partition else []
        pairs.append(("opMapping", ", ".join(f"'{code}' = {kind}" for code, kind in self.codes)))
        return pairs


@dataclass(frozen=True, eq=False)
class ToChangelog(_Converted):
    """Each change of the input as a row: the columns ``partition``, its code, the other columns.

    Changes of a kind that has no code are left out. Without ``full_deletes`` upserts are taken as they come, without
    state: each is an UPDATE_AFTER, and a deletion has what the source gave it.
    """

    full_deletes: bool = True

    def fields(self) -> list[tuple[str, str]]:
        return super().fields() if self.full_deletes else [*super().fields(), ("fullDeletes", "false")]

    def describe(self) -> str:
        return f"ToChangelog({', '.join(f'{k}=[{v}]' for k, v in self.fields())})"


@dataclass(frozen=True, eq=False)
class FromChangelog(_Converted):
    """The table that rows with a code in column ``op`` amount to: the columns ``partition``, then the others.

    Without a code for UPDATE_BEFORE ``partition`` is its key. ``skip``: a row with another code is left out, and does
    not fail the job.
    """

    op: int
    skip: bool = False

    @property
    def by_key(self) -> bool:
        """Whether updates replace the row of their key."""
        kinds = {kind for _, kind in self.codes}
        return "UPDATE_AFTER" in kinds and "UPDATE_BEFORE" not in kinds

    @property
    def columns(self) -> tuple[int, ...]:
        """The input's columns in the order of the output."""
        rest = (i for i in range(len(self.input.schema)) if i != self.op and i not in self.partition)
        return (*self.partition, *rest)

    def describe(self) -> str:
        errors = "SKIP" if self.skip else "FAIL"
        op = self.input.schema[self.op].name
        pairs = [("op", op), *self.fields(), ("errorHandling", errors)]
        return f"FromChangelog({', '.join(f'{k}=[{v}]' for k, v in pairs)})"
