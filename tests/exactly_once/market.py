"""The job of these tests: windows, a join, Top-N and deduplication over Kafka topics, into Kafka topics."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streamsql.session import EnvironmentSettings, TableEnvironment
from streamsql.testing.compare import Row, rows_of
from tests.conftest import TopicFactory
from tests.kafka.client import Cluster, Record

ITEMS = [f"item{i}" for i in range(20)]
PARTITIONS = 3

QUERIES = {
    "windows": "SELECT item, CAST(window_end AS STRING) AS until, COUNT(*) AS n, SUM(amount) AS total "
    "FROM TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECONDS) "
    "GROUP BY item, window_start, window_end",
    "joined": "SELECT o.id, o.item, p.paid FROM orders AS o JOIN payments AS p ON o.id = p.order_id",
    "top": "SELECT item, rn, id, amount FROM (SELECT *, ROW_NUMBER() OVER "
    "(PARTITION BY item ORDER BY amount DESC, id) AS rn FROM orders) WHERE rn <= 3",
    "firsts": "SELECT customer, id, item FROM (SELECT *, ROW_NUMBER() OVER "
    "(PARTITION BY customer ORDER BY ts) AS rn FROM orders) WHERE rn = 1",
}
SINKS = {
    "windows": ("item STRING, until STRING, n BIGINT, total INT", ()),
    "joined": ("id BIGINT, item STRING, paid INT", ()),
    "top": ("item STRING, rn BIGINT, id BIGINT, amount INT", ("item", "rn")),
    "firsts": ("customer BIGINT, id BIGINT, item STRING", ("customer",)),
}


@dataclass
class Market:
    """Topics of one run: ``names`` gives the real name of each."""

    cluster: Cluster
    names: dict[str, str]
    prefix: str

    @classmethod
    def open(cls, cluster: Cluster, topic: TopicFactory, prefix: str) -> Market:
        """New topics, the inputs empty."""
        parts = {"orders": PARTITIONS, "payments": PARTITIONS, **dict.fromkeys(SINKS, 2)}
        return cls(cluster, {name: topic(name, partitions=n) for name, n in parts.items()}, prefix)

    def fill(self, count: int, *, start: int = 0, seed: int = 7) -> None:
        """So many orders, one in two paid once, in order of time within a partition."""
        rng = random.Random(seed + start)
        orders, payments = [], []
        for i in range(start, start + count):
            ms = i * 20
            order = {
                "id": i,
                "item": rng.choice(ITEMS),
                "amount": rng.randrange(1000),
                "customer": rng.randrange(2000),
                "ts": f"2024-01-01 {ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}",
            }
            orders.append(Record(None, json.dumps(order), partition=i % PARTITIONS))
            if i % 2:
                paid = {"order_id": i, "paid": order["amount"]}
                payments.append(Record(None, json.dumps(paid), partition=i // 2 % PARTITIONS))
        self.cluster.produce(self.names["orders"], orders)
        self.cluster.produce(self.names["payments"], payments)

    # -- SQL -------------------------------------------------------------------------------------------------------
    def tables(self) -> Iterator[str]:
        """The inputs, which end at what is there when they are first read."""
        yield (
            "CREATE TABLE orders (id BIGINT, item STRING, amount INT, customer BIGINT, ts TIMESTAMP(3), "
            f"WATERMARK FOR ts AS ts - INTERVAL '30' SECOND) WITH ({self._source('orders')})"
        )
        yield f"CREATE TABLE payments (order_id BIGINT, paid INT) WITH ({self._source('payments')})"

    def _source(self, name: str) -> str:
        return (
            f"'connector'='kafka', 'topic'='{self.names[name]}', 'format'='json', "
            f"'properties.bootstrap.servers'='{self.cluster.bootstrap}', "
            "'scan.startup.mode'='earliest-offset', 'scan.bounded.mode'='latest-offset'"
        )

    def sinks(self, guarantee: str = "exactly-once") -> Iterator[str]:
        """The outputs."""
        for name, (columns, key) in SINKS.items():
            common = (
                f"'topic'='{self.names[name]}', 'properties.bootstrap.servers'='{self.cluster.bootstrap}', "
                f"'sink.delivery-guarantee'='{guarantee}', 'sink.transactional-id-prefix'='{self.prefix}'"
            )
            if key:
                yield (
                    f"CREATE TABLE {name}_out ({columns}, PRIMARY KEY ({', '.join(key)}) NOT ENFORCED) WITH "
                    f"('connector'='upsert-kafka', 'key.format'='json', 'value.format'='json', {common})"
                )
            else:
                yield f"CREATE TABLE {name}_out ({columns}) WITH ('connector'='kafka', 'format'='json', {common})"

    def script(self, directory: str, interval: str = "100 ms", options: dict[str, str] | None = None) -> str:
        """The whole job as a script."""
        settings = {
            "pipeline.name": "market",
            "execution.checkpointing.interval": interval,
            "execution.checkpointing.dir": directory,
            "restart-strategy.exponential-delay.initial-backoff": "100 ms",
            "restart-strategy.exponential-delay.max-backoff": "1 s",
            **(options or {}),
        }
        inserts = "".join(f"INSERT INTO {name}_out {query};\n" for name, query in QUERIES.items())
        statements = [
            *(f"SET '{k}' = '{v}'" for k, v in settings.items()),
            *self.tables(),
            *self.sinks(),
            f"EXECUTE STATEMENT SET BEGIN\n{inserts}END",
        ]
        return ";\n".join(statements) + ";\n"

    # -- answers ---------------------------------------------------------------------------------------------------
    def expected(self) -> dict[str, Counter[Row]]:
        """Batch mode's answers."""
        found: dict[str, Counter[Row]] = {}
        with TableEnvironment(EnvironmentSettings.in_batch_mode()) as env:
            for statement in self.tables():
                env.execute_sql(statement)
            for name, query in QUERIES.items():
                found[name] = Counter(rows_of(env.execute_sql(query).to_arrow()))
        return found

    def written(self) -> dict[str, Counter[Row]]:
        """What a reader of committed messages finds: all of an append topic, of the others the last per key."""
        return {name: self._written(name) for name in SINKS}

    def _written(self, name: str) -> Counter[Row]:
        columns, key = SINKS[name]
        names = [part.split()[0] for part in columns.split(", ")]
        messages = self.cluster.consume_all(self.names[name], read_committed=True)
        if not key:
            return Counter(_row(json.loads(m.value or b""), names) for m in messages)
        last: dict[bytes, Any] = {}
        for message in messages:
            assert message.key is not None
            last[message.key] = message.value
        return Counter(_row(json.loads(v), names) for v in last.values() if v is not None)

    def differences(self) -> str:
        """What is written and should not be, or the other way round; empty where all is right."""
        expected, written = self.expected(), self.written()
        lines = []
        for name, wanted in expected.items():
            extra, missing = written[name] - wanted, wanted - written[name]
            if extra or missing:
                lines.append(
                    f"{name}: {extra.total()} too many, as {list(extra)[:2]}; "
                    f"{missing.total()} missing, as {list(missing)[:2]}"
                )
        return "\n".join(lines)


def _row(value: dict[str, Any], names: list[str]) -> Row:
    return tuple(value[n] for n in names)
