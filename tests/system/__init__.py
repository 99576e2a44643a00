"""Tests of a session as its user meets it: statements in, rows, messages and files out."""
