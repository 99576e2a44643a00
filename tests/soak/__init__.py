"""A job that runs for half an hour at load: does memory, state, disk or anything else grow? See ``__main__.py``."""
