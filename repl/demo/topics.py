"""The market's topics, and the statements that register them as tables."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

TRADER_PARTITIONS = 8
IDLE_TIMEOUT = "2 s"
"""Eight traders do not fill eight partitions: the empty ones must not hold the watermark back."""

_STATE = "coins DOUBLE, shares INT, bailouts INT, fedMonkeys INT, inFlightInvestments INT"
_RESULT = f"ROW<txnId STRING, `type` STRING, state ROW<`time` TIMESTAMP_LTZ(3), {_STATE}>, status STRING>"


@dataclass(frozen=True)
class Topic:
    """A topic and its table. ``by_trader``: the key is the trader, an object; else a constant text.

    ``delay_s``: how late a message may come after a younger one; None where the table has no event time.
    """

    name: str
    columns: str
    by_trader: bool = True
    delay_s: str | None = "0.01"

    @property
    def table(self) -> str:
        return self.name.replace("-", "_")

    @property
    def partitions(self) -> int:
        return TRADER_PARTITIONS if self.by_trader else 1


MARKET_TOPICS = (
    Topic("market-orders", "txnId STRING, `type` STRING, shares INT"),
    Topic("investment-orders", "txnId STRING, invested DOUBLE"),
    Topic("feed-monkeys", "txnId STRING, monkeys INT"),
    Topic("txn-results", f"txnId STRING, `type` STRING, state ROW<`time` TIMESTAMP_LTZ(3), {_STATE}>, status STRING",
          delay_s="1"),
    Topic("share-price-outside-evolution-meter", "mult DOUBLE", by_trader=False),
    Topic("share-price", "coins DOUBLE, forecast DOUBLE", by_trader=False),
    Topic("gibber-gibbs", "id STRING, text STRING", by_trader=False),
    Topic("share-hype", "gibbId STRING, word STRING, positive BOOLEAN, influence INT", by_trader=False),
    Topic("trader-state-updates", "txnId STRING, `type` STRING, coinsDiff DOUBLE, sharesDiff INT, "
          "addBailout BOOLEAN, fedMonkeys INT, investDiff INT"),
    Topic("trader-states", _STATE),
    Topic("investment-txn-events", f"txnResult {_RESULT}, investedCoins DOUBLE, totalInvestments DOUBLE",
          delay_s=None),
)  # fmt: skip
"""The eleven topics of the game. The demo writes the orders, the prices and the gibbs; results, states and
investments stay empty."""

HYPE_BY_WORD = "hype-by-word"
"""What the demo's job writes."""

VIEW = """
    CREATE VIEW live_hype AS
    SELECT word, COUNT(*) AS gibbed, SUM(influence) * 0.01 AS coins, LAST_VALUE(`time`) AS last_seen
    FROM share_hype GROUP BY word
"""
JOB = "INSERT INTO hype_by_word SELECT * FROM live_hype"


def partitions() -> dict[str, int]:
    """Every topic of the demo with its number of partitions."""
    return {topic.name: topic.partitions for topic in MARKET_TOPICS} | {HYPE_BY_WORD: 1}


def create_table(topic: Topic, bootstrap: str, startup: dict[str, str]) -> str:
    """The CREATE TABLE of a topic. ``startup`` are the options that say where reading begins."""
    columns = ["`time` TIMESTAMP_LTZ(3)", topic.columns] if topic.delay_s is not None else [topic.columns]
    columns = ["team STRING, name STRING", *columns] if topic.by_trader else [*columns, "k STRING"]
    if topic.delay_s is not None:
        columns.append(f"WATERMARK FOR `time` AS `time` - INTERVAL '{topic.delay_s}' SECOND")
    options = {
        "connector": "kafka",
        "topic": topic.name,
        "properties.bootstrap.servers": bootstrap,
        **startup,
        "key.format": "json",
        "key.fields": "team;name" if topic.by_trader else "k",
        **({} if topic.by_trader else {"key.json.scalar": "true"}),
        "value.format": "json",
        "value.json.timestamp-format.standard": "ISO-8601",
        "value.fields-include": "EXCEPT_KEY",
        "scan.watermark.idle-timeout": IDLE_TIMEOUT,
    }
    if topic.delay_s is None:
        del options["scan.watermark.idle-timeout"]
    return _create(topic.table, columns, options)


def create_hype_by_word(bootstrap: str) -> str:
    """The table that the job keeps: the last row of each word."""
    columns = ["word STRING", "gibbed BIGINT", "coins DOUBLE", "last_seen TIMESTAMP_LTZ(3)"]
    options = {
        "connector": "upsert-kafka",
        "topic": HYPE_BY_WORD,
        "properties.bootstrap.servers": bootstrap,
        "key.format": "json",
        "value.format": "json",
        "value.json.timestamp-format.standard": "ISO-8601",
    }
    return _create("hype_by_word", [*columns, "PRIMARY KEY (word) NOT ENFORCED"], options)


def statements(bootstrap: str, startup: dict[str, str]) -> list[str]:
    """All that a session runs before it is the user's: tables, the view and the job."""
    tables = [create_table(topic, bootstrap, startup) for topic in MARKET_TOPICS]
    return [*tables, create_hype_by_word(bootstrap), dedent(VIEW).strip(), JOB]


def _create(table: str, columns: list[str], options: dict[str, str]) -> str:
    given = ",\n".join(f"  '{key}' = '{value}'" for key, value in options.items())
    return f"CREATE TABLE {table} (\n  " + ",\n  ".join(columns) + f"\n) WITH (\n{given}\n)"
