"""What a real Flink answers, recorded, and the tests that hold streamsql to it."""
