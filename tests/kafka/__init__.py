"""Tests against a real Apache Kafka broker, and the broker: jars.py -> broker.py -> client.py."""
