"""The testing kit: what it promises people who test their pipelines with it."""
