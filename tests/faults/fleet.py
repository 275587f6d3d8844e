"""Real worker processes that a test starts, and then does bad things to."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import orjson

from broker.connection import RedisAddress
from broker.redis_store import RedisStore
from jobs.model import Event, Job, NewJob, WorkerInfo
from jobs.states import JobState
from tests.waiting import eventually

CHECKOUT = Path(__file__).parents[2]


class WorkerUnderTest:
    """One `dramatiq` command. `pid` is the process that runs jobs; the command itself only watches it."""

    def __init__(self, command: "subprocess.Popen[bytes]", info: WorkerInfo) -> None:
        self.command = command
        self.owner = info.owner
        self.pid = info.pid

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def terminate(self) -> None:
        self.command.send_signal(signal.SIGTERM)

    def ended(self) -> bool:
        return self.command.poll() is not None


class Fleet:
    def __init__(self, address: RedisAddress, namespace: str, home: Path) -> None:
        self.store = RedisStore(lambda: address, namespace)
        self.home = home
        self._address = address
        self._commands: list[subprocess.Popen[bytes]] = []

    def start(
        self, *, lease_s: float = 1.0, stop_s: float = 20.0, threads: int = 4, release: str = ""
    ) -> WorkerUnderTest:
        """Start one worker process and wait until it is in the registry."""
        known = {worker.owner for worker in self.store.workers()}
        environment = {
            "FAULTS_REDIS": self._address.url,
            "FAULTS_NAMESPACE": self.store.keys.namespace,
            "FAULTS_HOME": str(self.home),
            "FAULTS_LEASE_S": str(lease_s),
            "FAULTS_STOP_S": str(stop_s),
            "FAULTS_RELEASE": release,
        }
        arguments = ["tests.faults.subjects", "-p", "1", "-t", str(threads)]
        with (self.home / "workers.log").open("ab") as log:
            command = subprocess.Popen(
                [sys.executable, "-m", "dramatiq", *arguments],
                cwd=CHECKOUT,
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._commands.append(command)

        def arrived() -> WorkerInfo | None:
            assert command.poll() is None, self.log()
            return next((w for w in self.store.workers() if w.owner not in known), None)

        return WorkerUnderTest(command, eventually(arrived, timeout=20.0))

    def send(
        self,
        actor: str,
        numbers: Iterable[int],
        queue: str | None = None,
        delay_ms: int = 0,
        **arguments: object,
    ) -> None:
        """One job for each number; its id is actor-number."""
        self.store.enqueue(
            [
                NewJob(
                    f"{actor}-{n}",
                    queue or actor,
                    actor,
                    orjson.dumps([[], {"n": n, **arguments}, {}, 0]),
                    delay_ms=delay_ms,
                )
                for n in numbers
            ]
        )

    def ledger(self) -> Counter[tuple[str, int]]:
        """How often each word was noted for each number."""
        return Counter((word, n) for word, n, _ in self.runs())

    def runs(self) -> list[tuple[str, int, int]]:
        """Word, number and process of each line."""
        try:
            lines = (self.home / "ledger").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(word, int(n), int(pid)) for word, n, pid in map(str.split, lines)]

    def open_gate(self) -> None:
        (self.home / "gate").touch()

    def job(self, job_id: str) -> Job:
        job = self.store.get(job_id)
        assert job is not None, f"{job_id} is lost"
        return job

    def completed(self, *ids: str) -> bool:
        return all(self.job(job_id).state is JobState.COMPLETED for job_id in ids)

    def events(self) -> list[Event]:
        """All events since the last call, for a reader of the test's own."""
        batch = self.store.read_events("test", "test", limit=10_000)
        self.store.ack_events("test", [event.id for event in batch.events])
        return batch.events

    def log(self) -> str:
        return (self.home / "workers.log").read_text()

    def close(self) -> None:
        """End everything that was started, whatever state it is in."""
        for command in self._commands:
            with suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGKILL)
            command.wait(10)
        self.store.close()
