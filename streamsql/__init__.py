"""streamsql."""
