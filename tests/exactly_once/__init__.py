"""Jobs that are killed, starved and started twice, against real Kafka: each row exactly once."""
