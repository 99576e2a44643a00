"""Checkpoints: what is written is found again, whatever happens in between."""
