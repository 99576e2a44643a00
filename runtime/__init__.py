"""Physical plan to running job: operators, state, connectors and formats, and the thread that moves them in steps.

In: a plan and a session's options. Out: a :class:`~streamsql.runtime.job.Job`, its results and metrics. Reading order:
``job`` (a thread) · ``graph`` (a step) · ``source_task`` (rows, watermarks) · ``operators/`` and ``state/`` · ``build``
with ``build_calc``, ``build_groups`` and ``build_windows`` (plan nodes to operators) · ``engine`` (DuckDB runs the
fragments) · ``connectors/`` and ``formats/``. ``batch`` answers a query without a job; ``live`` reads a running one.
"""
