"""Checkpoints: consistent cuts of a running job, kept where a later run finds them.

``snapshot`` is what a cut holds, ``store`` and its files keep it, ``coordinator`` takes it and commits with it,
``matching`` puts it into a new job.
"""
