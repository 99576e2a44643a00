"""Built-in functions: one file a category, one record a function; ``registry.py`` finds them by name.

Reading order: ``base.py`` (the records), ``arithmetic.py`` (an example), ``registry.py``. ``support.py`` holds the few
functions that need Python.
"""

from .base import AggregateDef, BatchAggregate, CompileContext, FunctionDef, Invocation, TypeMismatch
from .registry import FunctionRegistry, conjunction, equals, user_scalar

__all__ = [
    "AggregateDef",
    "BatchAggregate",
    "CompileContext",
    "FunctionDef",
    "FunctionRegistry",
    "Invocation",
    "TypeMismatch",
    "conjunction",
    "equals",
    "user_scalar",
]
