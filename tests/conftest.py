"""Fixtures for every test: a real Kafka broker, topics with unique names, a real PostgreSQL, and STREAMSQL_REQUIRE.

STREAMSQL_REQUIRE is a comma list of parts ("kafka,postgres"); a test that needs a required part fails instead of
being skipped, so that a machine meant to run everything cannot quietly run less. A test needs a part when it
carries the marker of that name; the markers are set by themselves on all tests that use a fixture of theirs.
"""

import gc
import os
import re
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from tests.jdbc.server import PostgresUnavailableError, Server
from tests.kafka.broker import Broker
from tests.kafka.client import Cluster
from tests.kafka.jars import KafkaUnavailableError
from tests.s3 import s3_server, s3_uri

FIXTURES = {
    "kafka": {"kafka", "kafka_broker_factory"},
    "postgres": {"postgres", "postgres_factory"},
}
PARTS = set(FIXTURES)
Part = TypeVar("Part", Broker, Server)
TOPIC_NAME_LENGTH_MAX = 200  # Kafka allows 249

# Every run tries the same examples, so that a change fails for what it changed; deadlines fail on a busy
# machine. `--hypothesis-profile=explore` tries new ones.
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, max_examples=50
)
hypothesis.settings.load_profile("repeatable")

TopicFactory = Callable[..., str]
BrokerFactory = Callable[[], Broker]
ServerFactory = Callable[[], Server]


def required_parts() -> set[str]:
    """What STREAMSQL_REQUIRE names."""
    return {part.strip() for part in os.environ.get("STREAMSQL_REQUIRE", "").split(",") if part.strip()}


def pytest_configure() -> None:
    unknown = required_parts() - PARTS
    if unknown:
        raise pytest.UsageError(f"STREAMSQL_REQUIRE names {sorted(unknown)}; known parts are {sorted(PARTS)}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores, as tests with a broker mostly wait for it."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for part, fixtures in FIXTURES.items():
            if fixtures & set(getattr(item, "fixturenames", ())):
                item.add_marker(part)


def long_ones_first(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """The order for so many processes: each begins with its share of the tests marked ``long``.

    pytest-xdist gives each process an equal run of the list, and who is through takes from the end of another's.
    """
    if workers == 1:
        return list(items)
    long = [item for item in items if item.get_closest_marker("long")]
    rest = [item for item in items if not item.get_closest_marker("long")]
    order: list[pytest.Item] = []
    for worker in range(workers):
        first = long[worker::workers]
        share = max(0, (len(items) - len(order)) // (workers - worker) - len(first))
        order += first + rest[:share]
        rest = rest[share:]
    return order


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Orders the tests, and takes what is there before they begin out of the garbage collector's sight.

    Every job collects garbage as it ends, which looks at all objects there are: for a test most of its time.
    """
    session.items[:] = long_ones_first(session.items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # as the process ends, all of it is to be collected


@pytest.fixture(scope="session", autouse=True)
def quick_disk() -> Iterator[None]:
    """Nothing waits for the disk, as no test can cut the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns the skip of a test that needs a required part into a failure."""
    report = yield
    missing = required_parts() & {marker.name for marker in item.iter_markers()}
    if report.skipped and missing and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = (
            f"STREAMSQL_REQUIRE={','.join(sorted(missing))}, but the test was to be skipped: {reason}"
        )
    return report


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster all tests share: $STREAMSQL_TEST_BOOTSTRAP, or a broker of our own. Never stop this one."""
    external = os.environ.get("STREAMSQL_TEST_BOOTSTRAP")
    if external:
        cluster = Cluster(external)
        cluster.wait_ready()
        yield cluster
        return
    broker = _new_broker(tmp_path_factory.mktemp("kafka"))
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture
def kafka_broker_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerFactory]:
    """Starts brokers that belong to one test, which may stop, kill, pause and start them again."""
    yield from _started_here(lambda: _new_broker(tmp_path_factory.mktemp("kafka")))


def _started_here(new: Callable[[], Part]) -> Iterator[Callable[[], Part]]:
    """What starts new ones; all are closed in the end."""
    made: list[Part] = []

    def factory() -> Part:
        one = new()
        made.append(one)
        one.start()
        return one

    yield factory
    for one in made:
        one.close()


def _new_broker(folder: Path) -> Broker:
    try:
        return Broker(folder)
    except KafkaUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def topic(kafka: Cluster, request: pytest.FixtureRequest) -> Iterator[TopicFactory]:
    """`topic(name_hint="t", partitions=1, config=None)` -> name of a new topic; deleted after the test."""
    names: list[str] = []

    def create(name_hint: str = "t", partitions: int = 1, config: dict[str, str] | None = None) -> str:
        name = unique_name(f"{request.node.name}.{name_hint}")
        kafka.create_topic(name, partitions, config)
        names.append(name)
        return name

    yield create
    for name in names:
        kafka.delete_topic(name)


def unique_name(hint: str) -> str:
    """`hint` in the characters Kafka allows for topics and groups, and a part that never repeats."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', hint)[:TOPIC_NAME_LENGTH_MAX]}.{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The PostgreSQL server all tests share. Never stop this one."""
    server = _new_server()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_factory() -> Iterator[ServerFactory]:
    """Starts servers that belong to one test, which may stop, kill and start them again."""
    yield from _started_here(_new_server)


def _new_server() -> Server:
    try:
        server = Server()
    except PostgresUnavailableError as error:
        pytest.skip(str(error))
    return server


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Host and port of the S3 server all tests share."""
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def s3_folder(s3_endpoint: str, request: pytest.FixtureRequest) -> str:
    """The URI of a folder that is this test's own."""
    return s3_uri(s3_endpoint, f"{request.module.__name__}.{request.node.name}")
