"""Names to definitions: what CREATE stores and what a query finds. No I/O, threads or clocks in this folder.

In: statements of the planner's front and tables handed in from Python. Out: definitions that the binder reads.
Read: ``table.py`` (what a table is), ``options.py`` (typed WITH options), ``connectors.py`` (what each connector and
format takes), ``catalog.py`` (names), ``describe.py`` (rows for SHOW and DESCRIBE).
"""
