"""A Kafka endpoint inside this process: librdkafka's mock cluster, for the demo and for fault injection.

Any Kafka client can connect to it while it runs. It is no broker: messages live in memory, about the last 5 MB
of each partition are kept, timestamps cannot be looked up (``scan.startup.mode``='timestamp' reads from the
end), and aborted transactions are not hidden.

:func:`create_topics` makes topics here as well as on a real cluster.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streamsql.errors import ConnectorError

from .kafka_client import LOG, exception_reason

REQUEST_TIMEOUT_S = 10.0
ANSWER_WAIT_S = 0.02
"""How long the cluster's thread may take before it is woken."""
DEFAULT_PARTITIONS = 4
"""What the mock cluster gives a topic that is created by its first message."""
GROUP_REBALANCE_DELAY_MS = 100
"""A consumer group starts after this; the mock's own default is 3 s."""
_LIBRARIES = (
    "../confluent_kafka.libs/librdkafka*",  # Linux, and Windows
    ".dylibs/librdkafka*",  # macOS
    "librdkafka*",
)
"""Where wheels put librdkafka, beside the package's folder."""

_running: dict[str, MockCluster] = {}


class MockCluster:
    """A mock cluster with its own address. Usable as a context manager; ``close`` ends it."""

    def __init__(self, brokers: int = 1) -> None:
        self._brokers = brokers
        self._library: Any = None
        self._handle: Any = None
        self._cluster: Any = None
        self._host: Producer | None = None
        self.bootstrap = ""

    def start(self) -> MockCluster:
        """Begin to listen on 127.0.0.1, at a free port."""
        assert not self.bootstrap, "the mock cluster runs already"
        self._library = _library()
        if self._library is None:
            self._start_hosted()
        else:
            self._start_native()
        _running[self.bootstrap] = self
        return self

    def _start_native(self) -> None:
        library = self._library
        message = ctypes.create_string_buffer(512)
        configuration = library.rd_kafka_conf_new()
        library.rd_kafka_conf_set(configuration, b"log_level", b"0", message, 512)
        self._handle = library.rd_kafka_new(0, configuration, message, 512)
        if not self._handle:
            raise ConnectorError(f"cannot start the mock cluster: {message.value.decode()}")
        self._cluster = library.rd_kafka_mock_cluster_new(self._handle, self._brokers)
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, GROUP_REBALANCE_DELAY_MS)
        self.bootstrap = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def _start_hosted(self) -> None:
        """Where the library cannot be found: the mock cluster of a producer, which cannot choose partition counts."""
        self._host = Producer({"test.mock.num.brokers": self._brokers}, logger=LOG)
        brokers = self._host.list_topics(timeout=REQUEST_TIMEOUT_S).brokers.values()
        self.bootstrap = ",".join(f"{b.host}:{b.port}" for b in brokers)

    def create_topic(self, name: str, partitions: int = DEFAULT_PARTITIONS) -> None:
        """Create a topic; one that exists is left as it is. Raises ConnectorError."""
        if self._library is None:
            assert self._host is not None, "the mock cluster does not run"
            if partitions != DEFAULT_PARTITIONS:
                raise ConnectorError(
                    f"here the mock cluster makes topics of {DEFAULT_PARTITIONS} partitions only, not {partitions}",
                    hint="use a real broker",
                )
            self._host.list_topics(name, timeout=REQUEST_TIMEOUT_S)  # creates it
            return
        error = self._awake(self._library.rd_kafka_mock_topic_create, name.encode(), partitions, 1)
        if error not in (KafkaError.NO_ERROR, KafkaError.TOPIC_ALREADY_EXISTS):
            raise ConnectorError(f"cannot create topic '{name}': {KafkaError(error).str()}")

    def _awake(self, call: Callable[..., int], *arguments: Any) -> int:
        """Run a call that the cluster's own thread answers. That thread may miss the call, and then sleeps on for
        up to a second: a connection wakes it.
        """
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(call, self._cluster, *arguments)
            while not wait([answer], ANSWER_WAIT_S).done:
                host, _, port = self.bootstrap.split(",")[0].rpartition(":")
                with contextlib.suppress(OSError):  # a broker that was set down does not listen
                    socket.create_connection((host, int(port)), REQUEST_TIMEOUT_S).close()
            return answer.result()

    def set_broker_down(self, broker: int = 1) -> None:
        """Cut a broker off, until :meth:`set_broker_up`."""
        self._awake(self._native().rd_kafka_mock_broker_set_down, broker)

    def set_broker_up(self, broker: int = 1) -> None:
        self._awake(self._native().rd_kafka_mock_broker_set_up, broker)

    def _native(self) -> Any:
        if self._library is None:
            raise ConnectorError("fault injection needs librdkafka's library, which was not found here")
        return self._library

    def close(self) -> None:
        """End the cluster; its messages are gone. Idempotent."""
        _running.pop(self.bootstrap, None)
        if self._cluster is not None:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._library.rd_kafka_destroy(self._handle)
        self._cluster = self._handle = self._host = None
        self.bootstrap = ""

    def __enter__(self) -> MockCluster:
        return self if self.bootstrap else self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def create_topics(
    bootstrap: str, topics: Mapping[str, int], properties: Mapping[str, str] | None = None
) -> None:
    """Create topics with so many partitions, here or on a real cluster; those that exist are left as they are.

    ``properties`` are more librdkafka options (security). Raises ConnectorError.
    """
    if bootstrap in _running:
        for name, partitions in topics.items():
            _running[bootstrap].create_topic(name, partitions)
        return
    admin = AdminClient({**(properties or {}), "bootstrap.servers": bootstrap}, logger=LOG)
    new = [NewTopic(name, num_partitions=count, replication_factor=-1) for name, count in topics.items()]
    try:
        admin.list_topics(timeout=REQUEST_TIMEOUT_S)
    except KafkaException as e:
        raise ConnectorError(f"no answer from Kafka at {bootstrap}: {exception_reason(e)}") from None
    created: dict[str, Future[None]] = admin.create_topics(new, operation_timeout=REQUEST_TIMEOUT_S)
    for name, done in created.items():
        try:
            done.result(REQUEST_TIMEOUT_S)
        except KafkaException as e:
            if e.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise ConnectorError(f"cannot create topic '{name}': {exception_reason(e)}") from None


def _library() -> Any:
    """librdkafka, as the client itself has loaded it; None where it cannot be found."""
    package = Path(confluent_kafka.__file__).parent
    for pattern in _LIBRARIES:
        folder, name = (package / pattern).parent, Path(pattern).name
        for path in sorted(folder.glob(name)) if folder.is_dir() else ():
            try:
                return _declared(ctypes.CDLL(str(path)))
            except (OSError, AttributeError):
                continue
    return None


def _declared(library: Any) -> Any:
    """The functions used here with their types: handles are pointers, which ctypes would cut to 32 bits."""
    handle, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in (
        ("rd_kafka_conf_new", handle, []),
        ("rd_kafka_conf_set", number, [handle, text, text, text, ctypes.c_size_t]),
        ("rd_kafka_new", handle, [number, handle, text, ctypes.c_size_t]),
        ("rd_kafka_destroy", None, [handle]),
        ("rd_kafka_mock_cluster_new", handle, [handle, number]),
        ("rd_kafka_mock_cluster_destroy", None, [handle]),
        ("rd_kafka_mock_cluster_bootstraps", text, [handle]),
        ("rd_kafka_mock_topic_create", number, [handle, text, number, number]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [handle, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_down", number, [handle, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_up", number, [handle, ctypes.c_int32]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
