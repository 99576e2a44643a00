"""SQL text to physical plan. Pure: the same text, catalog and options give the same plan.

In: statements, and a catalog to look names up in. Out: statements as data, or a tree of physical nodes whose text is
EXPLAIN. Reading order: ``pipeline`` (the calls in order) · ``dialect/`` and ``statements`` (text to statements) ·
``binder`` with ``bind_from``, ``bind_groups``, ``bind_windows``, ``bind_table``, ``bind_insert`` and
``expression_binder`` (names and types; sqlglot stops here) · ``expressions``, ``logical`` (what they build) ·
``rules/`` (rewrites) · ``convert/``, ``physical/``, ``changelog_mode`` (nodes that run) · ``explain``.
``functions/``, ``casts`` and ``compile`` say what expressions mean as DuckDB SQL; ``batch`` turns a whole logical plan
into one DuckDB query.
"""
