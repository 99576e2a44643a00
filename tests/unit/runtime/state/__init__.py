"""Tests of runtime/state/."""
