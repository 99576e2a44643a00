"""The jdbc connector and lookup joins, against a real PostgreSQL."""
