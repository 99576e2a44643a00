"""Typed options of tables. The machinery is in the core, because the session's options use it too."""

from streamsql.options import ConfigOption, Options, format_value, parse_duration, parse_memory, parse_value

__all__ = ["ConfigOption", "Options", "format_value", "parse_duration", "parse_memory", "parse_value"]
