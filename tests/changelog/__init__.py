"""Changelogs of whole queries, as text tables: what a step shows and what it must never show."""
