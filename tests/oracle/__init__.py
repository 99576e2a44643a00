"""The streaming run against independent answers.

In: SQL and input tables. A query is streamed in steps of 1, 7 and all rows, in order and shuffled within the
watermark's bound; each time its changelog must replay and end in the table that batch mode and, where one is given,
a hand-written DuckDB query find.

Read ``tables.py`` (inputs), ``run.py`` (``run_every_way``), then the cases. The rules of changelogs and what is equal
are those of the testing kit (``streamsql/testing/rules.py``, ``compare.py``).
"""
