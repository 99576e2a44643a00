"""Built-in functions: one file a category, one record a function; ``registry.py`` finds them by name."""
