"""Savepoints of this version and of those before it: each must be readable for ever.

A folder a version: ``v1/<case>`` holds a savepoint, the statements of its job as they were, the rows of its tables and
what the job had written. ``record.py`` writes the folder of the next version; ``test_savepoints.py`` goes on from all.
"""
