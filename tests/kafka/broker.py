"""One Apache Kafka node in KRaft mode as a child process, that a test may pause, kill and start again."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.kafka.client import Cluster
from tests.kafka.jars import java, kafka_jars

START_TIMEOUT_S = 90.0  # 3 s on a free core; many times that when the machine is busy
STOP_TIMEOUT_S = 30.0
# The quick compiler only: these brokers live for seconds, in which the thorough one costs more than it gives.
JVM_OPTIONS = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=ERROR"]
# Below the usual ephemeral range (32768+), so that no outgoing connection takes the port of a killed broker.
PORTS = range(20000, 32000)

# The short session lets a killed broker come back at once: it is refused while its former self seems alive.
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.segment.delete.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


class Broker(Cluster):
    """A broker with its own folder and its own two ports, the same ones after every restart.

    Not started by the constructor. Data survive stop, kill and start; `close` deletes them.
    """

    def __init__(self, folder: Path) -> None:
        """Raises KafkaUnavailableError where no broker can run."""
        self._java, self._class_path = java(), f"{kafka_jars()}/*"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        port, controller = _free_ports()
        super().__init__(f"127.0.0.1:{port}")
        self._settings = folder / "server.properties"
        folder.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(SETTINGS.format(port=port, controller=controller, data=folder / "data"))

    @property
    def running(self) -> bool:
        """True also while paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    def start(self) -> None:
        """Starts the broker, and returns when it answers; the first start formats the folder."""
        assert not self.running, "the broker runs already"
        if not (self._folder / "data").exists():
            self._format()
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._settings)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for pytest alone
            )
        self._watchdog = _kill_when_we_die(self._process.pid)
        self._wait_started()

    def stop(self) -> None:
        """SIGTERM: an orderly stop, as in a rolling restart."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what a power cut leaves behind."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: ends `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends the broker and starts it again; returns when it answers."""
        self._end(how)
        self.start()

    @contextmanager
    def paused(self) -> Generator[None]:
        """Nothing answers inside the block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def close(self) -> None:
        """Kills the broker if it runs, and deletes its data."""
        if self.running:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        """The end of what the broker printed: errors only."""
        return self._log_path.read_text(errors="replace")[-4000:] if self._log_path.exists() else ""

    @property
    def _log_path(self) -> Path:
        return self._folder / "broker.log"

    def _command(self, main: str, *arguments: str) -> list[str]:
        return [self._java, *JVM_OPTIONS, "-cp", self._class_path, main, *arguments]

    def _format(self) -> None:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # A leading dash would be read as an option.
        arguments = ["format", "--standalone", "-t", "A" + cluster_id[1:], "-c", str(self._settings)]
        command = self._command("kafka.tools.StorageTool", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, f"cannot format the broker's folder:\n{done.stdout}{done.stderr}"

    def _wait_started(self) -> None:
        """Waits for the port first: a client that meets a closed port backs off and sees the broker late."""
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _answers(self.bootstrap):
            if self._process.poll() is not None:
                raise RuntimeError(
                    f"the Kafka broker ended with code {self._process.returncode}:\n{self.log()}"
                )
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"no Kafka at {self.bootstrap} after {START_TIMEOUT_S} s:\n{self.log()}")
            time.sleep(0.05)
        self.wait_ready(deadline - time.monotonic())

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None and self._watchdog is not None, "the broker is not running"
        # First the watchdog: once the broker is reaped, its process id may be another's.
        self._watchdog.kill()
        self._watchdog.communicate()
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process = self._watchdog = None


def _answers(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, int(port))) == 0


def _free_ports() -> tuple[int, int]:
    """Two ports nobody listens on; chosen at random, because several test runs may share the machine."""
    choose = random.SystemRandom()
    free: list[int] = []
    while len(free) < 2:
        port = choose.choice(PORTS)
        with socket.socket() as probe:
            if port not in free and probe.connect_ex(("127.0.0.1", port)) != 0:
                free.append(port)
    return free[0], free[1]


def _kill_when_we_die(pid: int) -> subprocess.Popen[bytes]:
    """A shell that kills `pid` when our end of its input closes, that is even when we are killed."""
    script = f"read -r _; kill -KILL {pid}"
    return subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True)
