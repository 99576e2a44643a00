"""Operators: what a step does with the changes that reach it, one operator a file. ``base`` says what they promise.

In and out: a ChangelogBatch, or None, a step. They know no SQL beyond the fragments they are given, no plan, no
checkpoint code: state is declared in ``open`` and kept in the structures of ``runtime/state``.
"""
