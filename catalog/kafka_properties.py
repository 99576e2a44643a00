"""The ``properties.*`` options of Kafka tables: Java's names and librdkafka's, and which client takes which.

Kafka's documentation and Flink's examples use the Java client's names; the client here is librdkafka. Most
names are the same; the others are translated where the meaning is the same, and refused by name where it is
not. A name that neither knows is an error.
Source: librdkafka 2.16, CONFIGURATION.md; Apache Kafka 4.x, consumer and producer configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from streamsql.errors import ConfigError, UnsupportedError, did_you_mean

PREFIX = "properties."
TRANSACTION_TIMEOUT_MS = 15 * 60 * 1000
"""What brokers allow at most unless told otherwise (transaction.max.timeout.ms)."""


class Client(Enum):
    """Who is configured."""

    CONSUMER = "consumer"
    PRODUCER = "producer"


_BOTH_NAMES = """
allow.auto.create.topics api.version.request api.version.request.timeout.ms bootstrap.servers
broker.address.family broker.address.ttl client.dns.lookup client.id client.rack
connections.max.idle.ms debug enable.metrics.push enable.sasl.oauthbearer.unsecure.jwt
enable.ssl.certificate.verification https.ca.location https.ca.pem log.connection.close log_level
max.in.flight max.in.flight.requests.per.connection message.copy.max.bytes message.max.bytes
metadata.max.age.ms metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy
receive.message.max.bytes reconnect.backoff.jitter.ms reconnect.backoff.max.ms reconnect.backoff.ms
retry.backoff.max.ms retry.backoff.ms sasl.kerberos.keytab sasl.kerberos.kinit.cmd
sasl.kerberos.min.time.before.relogin sasl.kerberos.principal sasl.kerberos.service.name
sasl.mechanism sasl.mechanisms sasl.oauthbearer.assertion.algorithm
sasl.oauthbearer.assertion.claim.aud sasl.oauthbearer.assertion.claim.exp.seconds
sasl.oauthbearer.assertion.claim.iss sasl.oauthbearer.assertion.claim.jti.include
sasl.oauthbearer.assertion.claim.nbf.seconds sasl.oauthbearer.assertion.claim.sub
sasl.oauthbearer.assertion.file sasl.oauthbearer.assertion.jwt.template.file
sasl.oauthbearer.assertion.private.key.file sasl.oauthbearer.assertion.private.key.passphrase
sasl.oauthbearer.assertion.private.key.pem sasl.oauthbearer.client.credentials.client.id
sasl.oauthbearer.client.credentials.client.secret sasl.oauthbearer.client.id
sasl.oauthbearer.client.secret sasl.oauthbearer.config sasl.oauthbearer.extensions
sasl.oauthbearer.grant.type sasl.oauthbearer.metadata.authentication.type sasl.oauthbearer.method
sasl.oauthbearer.scope sasl.oauthbearer.sub.claim.name sasl.oauthbearer.token.endpoint.url
sasl.password sasl.username security.protocol socket.blocking.max.ms
socket.connection.setup.timeout.ms socket.keepalive.enable socket.max.fails socket.nagle.disable
socket.receive.buffer.bytes socket.send.buffer.bytes socket.timeout.ms ssl.ca.certificate.stores
ssl.ca.location ssl.ca.pem ssl.certificate.location ssl.certificate.pem ssl.cipher.suites
ssl.crl.location ssl.curves.list ssl.endpoint.identification.algorithm ssl.engine.id
ssl.engine.location ssl.key.location ssl.key.password ssl.key.pem ssl.keystore.location
ssl.keystore.password ssl.providers ssl.sigalgs.list statistics.interval.ms
topic.metadata.propagation.max.ms topic.metadata.refresh.fast.cnt
topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.interval.ms
topic.metadata.refresh.sparse
"""
_BOTH = frozenset(_BOTH_NAMES.split())
_CONSUMER_NAMES = """
auto.offset.reset check.crcs coordinator.query.interval.ms enable.auto.commit fetch.error.backoff.ms
fetch.max.bytes fetch.message.max.bytes fetch.min.bytes fetch.queue.backoff.ms fetch.wait.max.ms
group.id group.instance.id group.protocol group.protocol.type group.remote.assignor
heartbeat.interval.ms isolation.level max.partition.fetch.bytes max.poll.interval.ms
partition.assignment.strategy queued.max.messages.kbytes queued.min.messages session.timeout.ms
"""
_CONSUMER = frozenset(_CONSUMER_NAMES.split())
_PRODUCER_NAMES = """
acks batch.num.messages batch.size compression.codec compression.level compression.type
delivery.timeout.ms enable.idempotence linger.ms message.send.max.retries message.timeout.ms
partitioner queue.buffering.backpressure.threshold queue.buffering.max.kbytes
queue.buffering.max.messages queue.buffering.max.ms request.required.acks retries
sticky.partitioning.linger.ms transaction.timeout.ms
"""
_PRODUCER = frozenset(_PRODUCER_NAMES.split())


def _same(text: str) -> str:
    return text


def _kilobytes(text: str) -> str:
    return str(max(1, int(text) // 1024))


_TRANSLATED: dict[str, tuple[str, Callable[[str], str]]] = {
    "fetch.max.wait.ms": ("fetch.wait.max.ms", _same),
    "receive.buffer.bytes": ("socket.receive.buffer.bytes", _same),
    "send.buffer.bytes": ("socket.send.buffer.bytes", _same),
    "request.timeout.ms": ("socket.timeout.ms", _same),
    "max.request.size": ("message.max.bytes", _same),
    "buffer.memory": ("queue.buffering.max.kbytes", _kilobytes),
    "socket.connection.setup.timeout.max.ms": ("socket.connection.setup.timeout.ms", _same),
}
"""Java name → librdkafka name, where both mean the same."""

_SASL = (
    "give 'properties.sasl.username' and 'properties.sasl.password', "
    "or 'properties.sasl.kerberos.*', or 'properties.sasl.oauthbearer.*'"
)
_CODEC = "'format', 'key.format' and 'value.format' say how messages are read and written"
_TRUST = "give the certificates as a PEM file in 'properties.ssl.ca.location'"
_ENGINE_COMMITS = "offsets are committed by the job; 'properties.enable.auto.commit'='false' turns that off"
_METRICS = "remove it: the Java client's own metrics and plug-ins do not exist here"
_REFUSED = {
    "sasl.jaas.config": _SASL,
    "sasl.login.callback.handler.class": _SASL,
    "sasl.login.class": _SASL,
    "sasl.client.callback.handler.class": _SASL,
    "key.deserializer": _CODEC,
    "value.deserializer": _CODEC,
    "key.serializer": _CODEC,
    "value.serializer": _CODEC,
    "ssl.truststore.location": _TRUST,
    "ssl.truststore.password": _TRUST,
    "ssl.truststore.type": _TRUST,
    "ssl.truststore.certificates": "give the certificates in 'properties.ssl.ca.pem'",
    "ssl.keystore.type": "remove it: 'properties.ssl.keystore.location' is a PKCS#12 file here",
    "ssl.keystore.certificate.chain": "give the certificate in 'properties.ssl.certificate.pem'",
    "ssl.keystore.key": "give the key in 'properties.ssl.key.pem'",
    "ssl.protocol": "remove it: the TLS version is negotiated",
    "ssl.enabled.protocols": "remove it: the TLS version is negotiated",
    "ssl.provider": "remove it",
    "max.poll.records": "remove it: the size of a read is chosen by the job",
    "max.block.ms": "remove it: a sink waits as long as its queue is full",
    "default.api.timeout.ms": "use 'properties.socket.timeout.ms'",
    "auto.commit.interval.ms": _ENGINE_COMMITS,
    "enable.auto.offset.store": _ENGINE_COMMITS,
    "exclude.internal.topics": "remove it: internal topics are never matched by 'topic-pattern'",
    "partitioner.class": "use 'sink.partitioner'",
    "partitioner.ignore.keys": "use 'sink.partitioner'='round-robin'",
    "partitioner.adaptive.partitioning.enable": "use 'sink.partitioner'",
    "transactional.id": "use 'sink.delivery-guarantee'='exactly-once' and 'sink.transactional-id-prefix'",
    "enable.partition.eof": "use 'scan.bounded.mode'",
    "delivery.report.only.error": "remove it: the job counts acknowledgements itself",
    "interceptor.classes": _METRICS,
    "metric.reporters": _METRICS,
    "metrics.num.samples": _METRICS,
    "metrics.recording.level": _METRICS,
    "metrics.sample.window.ms": _METRICS,
    "plugin.library.paths": "remove it: foreign code is not loaded",
}
"""Known names that cannot be honoured → what to do instead."""


def check_properties(given: Mapping[str, str], owner: str) -> None:
    """Refuse what no client takes. ``given`` has the names without the prefix.

    Raises UnsupportedError for a known name that has no counterpart, ConfigError for an unknown name or a
    bad value.
    """
    for client in Client:
        client_properties(given, client, owner)


def client_properties(given: Mapping[str, str], client: Client, owner: str) -> dict[str, str]:
    """The librdkafka configuration of one client: translated, and without the other client's names.

    ``enable.auto.commit`` stays out: it is the job's business (:func:`commits_offsets`).
    """
    wanted = _BOTH | (_CONSUMER if client is Client.CONSUMER else _PRODUCER)
    out: dict[str, str] = {}
    for name, text in given.items():
        target, value = _translate(name, text, owner)
        if target in wanted and target != "enable.auto.commit":
            out[target] = value
    return out


def commits_offsets(given: Mapping[str, str]) -> bool:
    """Whether offsets go to the consumer group: with a group id, unless ``enable.auto.commit`` is false."""
    return "group.id" in given and given.get("enable.auto.commit", "true").strip().lower() != "false"


def transaction_timeout_ms(given: Mapping[str, str], owner: str) -> int:
    """How long a transaction may be open before the broker ends it."""
    text = given.get("transaction.timeout.ms", str(TRANSACTION_TIMEOUT_MS))
    try:
        return int(text)
    except ValueError:
        raise ConfigError(
            f"option '{PREFIX}transaction.timeout.ms' of {owner}: found '{text}', expected a number"
        ) from None


def offset_reset(given: Mapping[str, str]) -> str | None:
    """``earliest``, ``latest`` or None for no reset, from ``auto.offset.reset``."""
    text = given.get("auto.offset.reset", "none").strip().lower()
    return {"smallest": "earliest", "beginning": "earliest", "largest": "latest", "end": "latest"}.get(
        text, text if text in ("earliest", "latest") else None
    )


def _translate(name: str, text: str, owner: str) -> tuple[str, str]:
    if name in _REFUSED:
        raise UnsupportedError(
            f"'{PREFIX}{name}' of {owner} is not supported: it belongs to the Java client",
            hint=_REFUSED[name],
        )
    if name == "auto.offset.reset":
        allowed = ("earliest", "latest", "none", "smallest", "beginning", "largest", "end")
        if text.strip().lower() not in allowed:
            raise ConfigError(
                f"option '{PREFIX}{name}' of {owner}: found '{text}', expected earliest, latest or none"
            )
        return name, text
    if name == "ssl.endpoint.identification.algorithm" and not text.strip():
        return name, "none"
    if name in _TRANSLATED:
        target, convert = _TRANSLATED[name]
        try:
            return target, convert(text)
        except ValueError:
            raise ConfigError(
                f"option '{PREFIX}{name}' of {owner}: found '{text}', expected a number"
            ) from None
    known = _BOTH | _CONSUMER | _PRODUCER
    if name not in known:
        raise ConfigError(
            f"unknown option '{PREFIX}{name}' of {owner}: librdkafka has no property '{name}'",
            hint=did_you_mean(name, known | _TRANSLATED.keys()),
        )
    return name, text
