"""CREATE TABLE … LIKE: which parts of the source a table takes over.

Source: Flink's MergeTableLikeUtil.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from streamsql.errors import ValidationError

from .table import Column, TableDefinition

FEATURES: tuple[str, ...] = (
    "CONSTRAINTS",
    "DISTRIBUTION",
    "PARTITIONS",
    "GENERATED",
    "METADATA",
    "OPTIONS",
    "WATERMARKS",
)
_MAY_OVERWRITE = ("GENERATED", "METADATA", "OPTIONS", "WATERMARKS")


def like_strategies(rules: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What happens to each feature: INCLUDING, EXCLUDING or OVERWRITING.

    >>> like_strategies([("EXCLUDING", "ALL"), ("INCLUDING", "GENERATED")])["GENERATED"]
    'INCLUDING'
    """
    rules = list(rules)
    seen: set[str] = set()
    for strategy, feature in rules:
        if feature in seen:
            raise ValidationError(f"LIKE: there are two rules for {feature}", hint="keep one of them")
        if strategy == "OVERWRITING" and feature not in _MAY_OVERWRITE:
            raise ValidationError(
                f"LIKE: OVERWRITING {feature} does not exist",
                hint=f"use INCLUDING {feature} or EXCLUDING {feature}",
            )
        seen.add(feature)
    result: dict[str, str] = dict.fromkeys(FEATURES, "INCLUDING")
    result["OPTIONS"] = "OVERWRITING"
    for strategy, feature in rules:
        if feature == "ALL":
            result = dict.fromkeys(FEATURES, strategy)
    result.update({feature: strategy for strategy, feature in rules if feature != "ALL"})
    return result


def merge_like(
    source: TableDefinition, derived: TableDefinition, rules: Iterable[tuple[str, str]]
) -> TableDefinition:
    """``derived`` with what it takes over from ``source``; the source's columns come first.

    Raises ValidationError where both declare the same thing and the rules do not say which one counts.
    """
    how = like_strategies(rules)
    watermark = derived.watermark
    if source.watermark is not None and how["WATERMARKS"] != "EXCLUDING":
        if watermark is not None and how["WATERMARKS"] == "INCLUDING":
            raise _both("a watermark", "WATERMARKS", overwrite=True)
        watermark = watermark or source.watermark
    key, key_name = derived.primary_key, derived.primary_key_name
    if source.primary_key and how["CONSTRAINTS"] == "INCLUDING":
        if key:
            raise _both("a primary key", "CONSTRAINTS", overwrite=False)
        key, key_name = source.primary_key, source.primary_key_name
    partitions = derived.partition_keys
    if source.partition_keys and how["PARTITIONS"] == "INCLUDING":
        if partitions:
            raise _both("PARTITIONED BY", "PARTITIONS", overwrite=False)
        partitions = source.partition_keys
    return replace(
        derived,
        columns=_columns(source.columns, derived.columns, how),
        options=_options(source.options, derived.options, how["OPTIONS"]),
        watermark=watermark,
        primary_key=key,
        primary_key_name=key_name,
        partition_keys=partitions,
    )


def _columns(
    source: tuple[Column, ...], derived: tuple[Column, ...], how: Mapping[str, str]
) -> tuple[Column, ...]:
    new = {c.name: c for c in derived}
    merged: list[Column] = []
    for column in source:
        feature = "GENERATED" if column.is_computed else "METADATA" if column.is_metadata else ""
        if feature and how[feature] == "EXCLUDING":
            continue
        own = new.get(column.name)
        if own is None:
            merged.append(column)
        elif feature and how[feature] == "OVERWRITING" and _same_kind(column, own):
            merged.append(new.pop(column.name))
        else:
            raise _taken(column, own, feature)
    return (*merged, *(c for c in derived if c.name in new))


def _taken(column: Column, own: Column, feature: str) -> ValidationError:
    hint = "physical columns of the source are always taken over; leave it out or choose another name"
    if feature and _same_kind(column, own):
        hint = f"add EXCLUDING {feature} or OVERWRITING {feature} to LIKE"
    elif feature:
        hint = f"add EXCLUDING {feature} to LIKE"
    return ValidationError(f"the source of LIKE has a column '{column.name}' already", hint=hint)


def _same_kind(a: Column, b: Column) -> bool:
    return (a.is_computed, a.is_metadata) == (b.is_computed, b.is_metadata)


def _options(source: Mapping[str, str], derived: Mapping[str, str], strategy: str) -> dict[str, str]:
    if strategy == "EXCLUDING":
        return dict(derived)
    twice = [key for key in derived if key in source]
    if twice and strategy == "INCLUDING":
        raise _both(f"the option '{twice[0]}'", "OPTIONS", overwrite=True)
    return {**source, **derived}


def _both(what: str, feature: str, *, overwrite: bool) -> ValidationError:
    hint = f"add EXCLUDING {feature}{f' or OVERWRITING {feature}' if overwrite else ''} to LIKE"
    return ValidationError(f"the source of LIKE has {what} already", hint=hint)
