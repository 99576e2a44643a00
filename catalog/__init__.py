"""Names to definitions: what CREATE stores and what a query finds. No I/O, threads or clocks in this folder.

In: statements of the planner's front and tables handed in from Python. Out: definitions that the binder reads.
Read: ``table.py`` (what a table is), ``objects.py`` (catalogs, databases, functions), ``catalog.py`` and
``functions.py`` (names), ``options.py`` (typed WITH options), ``connectors.py`` (what each connector and format
takes), ``checks.py`` (what a declaration must fulfil), ``like.py`` (CREATE TABLE … LIKE), ``describe.py`` (rows
for DESCRIBE, text for SHOW CREATE).
"""
