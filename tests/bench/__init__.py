"""Benchmarks, each beside batch DuckDB on the same data; not run by default (`make bench`)."""
