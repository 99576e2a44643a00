"""The shell and the command line: text in, results on a terminal or a pipe out.

Reading order: ``app`` (arguments) → ``script`` and ``session_loop`` (who runs statements) → ``runner`` (one
statement) → ``output`` and ``live_view`` (how its answer is shown). Pure parts, tested without a terminal:
``completion``, ``scope``, ``statement_buffer``, ``render``, ``encode``, ``materialized``, ``pages``,
``screen``. ``engine`` lists what all of it needs of a session. Only ``highlighting``, ``completer``,
``screen``, ``live_view`` and ``session_loop`` know prompt-toolkit.
"""
