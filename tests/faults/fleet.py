"""Real worker processes that a test starts, and then does bad things to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import psutil
from sqlalchemy import Engine

from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from jobs.model import Job, NewJob, WorkerInfo
from jobs.states import JobState
from tests.broker.census import check_census
from tests.faults.ledger import Balance, Row, Run, Writer, read_audit, read_ledger, runs_in, settle_accounts
from tests.faults.worker import WorkerUnderTest
from tests.sealed import give_keys, signed
from tests.waiting import eventually

CHECKOUT = Path(__file__).parents[2]


class Fleet:
    """`store` reaches the server directly; processes go through a proxy where the port of one is given."""

    def __init__(self, address: RedisAddress, namespace: str, home: Path, engine: Engine) -> None:
        self.store = RedisStore(lambda: address, namespace)
        self.home = home
        self._address = address
        self._engine = engine
        self._ledger = Writer(home)
        give_keys(home)
        self._commands: list[subprocess.Popen[bytes]] = []

    # Processes

    def start(self, **options: Any) -> WorkerUnderTest:
        """Start one worker process and wait until it is in the registry; see `begin` for the options."""
        return self.arrived(self.begin(**options))

    def start_two(self, **options: Any) -> tuple[WorkerUnderTest, WorkerUnderTest]:
        """Two alike, which takes hardly longer than one."""
        one, two = self.begin(**options), self.begin(**options)
        return self.arrived(one), self.arrived(two)

    def begin(self, *, threads: int = 4, via: int | None = None, **options: Any) -> "subprocess.Popen[bytes]":
        """Start one worker process, with the `options` below. `via` is the port of a proxy."""
        told = self.options(**options)
        return self.run("dramatiq", "tests.faults.subjects", "-p", "1", "-t", str(threads), via=via, **told)

    @staticmethod
    def options(
        *,
        lease_s: float = 3.0,
        stop_s: float = 20.0,
        release: str = "",
        trap: str = "",
        helper_trap: str = "",
        skew_s: float = 0.0,
        queues: Sequence[str] = (),
        patient: bool = False,
        **more: object,
    ) -> dict[str, object]:
        """What a process is told. `trap` is a step of `traps` at which it dies, `queues` what it serves
        (all), `skew_s` how wrong its clock is. A `patient` one looks for lost leases and unknown actors only
        as often as in production."""
        return {
            "lease_s": lease_s,
            "stop_s": stop_s,
            "release": release,
            "trap": trap,
            "helper_trap": helper_trap,
            "skew_s": skew_s,
            "queues": list(queues),
            "patient": patient,
            **more,
        }

    def run(
        self, module: str, *arguments: str, via: int | None = None, **told: object
    ) -> "subprocess.Popen[bytes]":
        """Start any process that reads FAULTS. It ends with the fleet."""
        faults = {
            "redis": self.url(via),
            "namespace": self.store.keys.namespace,
            "home": str(self.home),
            **told,
        }
        with (self.home / "workers.log").open("ab") as log:
            command = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=CHECKOUT,
                env={**os.environ, "FAULTS": json.dumps(faults)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._commands.append(command)
        return command

    def url(self, via: int | None = None) -> str:
        """Of the server, or of a proxy before it."""
        url = self._address.url
        return url if via is None else url.rpartition(":")[0] + f":{via}/0"

    def arrived(self, command: "subprocess.Popen[bytes]") -> WorkerUnderTest:
        """Wait until a worker is in the registry."""

        def registered() -> WorkerUnderTest | None:
            assert command.poll() is None, self.log()
            info = self.registered(command)
            return WorkerUnderTest(command, info) if info else None

        worker = eventually(registered, timeout=30.0, every=0.02)
        assert worker is not None
        return worker

    def registered(self, command: "subprocess.Popen[bytes]") -> WorkerInfo | None:
        """The registry's entry of a worker, once there is one."""
        try:
            ours = {child.pid for child in psutil.Process(command.pid).children()}
        except psutil.NoSuchProcess:
            return None
        return next((worker for worker in self.store.workers() if worker.pid in ours), None)

    # Jobs

    def send(
        self,
        actor: str,
        numbers: Iterable[int],
        queue: str | None = None,
        delay_ms: int = 0,
        attempts: int = 3,
        **arguments: object,
    ) -> list[str]:
        """One job for each number; its id is actor-number."""
        jobs = [
            signed(
                NewJob(
                    f"{actor}-{n}",
                    queue or actor,
                    actor,
                    orjson.dumps([[], {"n": n, **arguments}, {}, 0]),
                    delay_ms=delay_ms,
                    max_attempts=attempts,
                )
            )
            for n in numbers
        ]
        ids = [job.id for job in jobs]
        self.store.enqueue(jobs)
        self._ledger.note("accepted", *ids)
        return ids

    def remove(self, job_ids: Sequence[str]) -> None:
        """Remove those of these jobs that have not started."""
        for at in range(0, len(job_ids), 1_000):
            chunk = job_ids[at : at + 1_000]
            removed = self.store.remove(chunk)
            self._ledger.note("removed", *(i for i, gone in zip(chunk, removed, strict=True) if gone))

    def runs(self, *job_ids: str) -> list[Run]:
        """All runs (of these jobs) so far, in the order of their starts."""
        runs = runs_in(read_ledger(self.home))
        return [run for run in runs if run.job_id in job_ids] if job_ids else runs

    def open_gate(self, worker: WorkerUnderTest | None = None) -> None:
        (self.home / (f"gate-{worker.pid}" if worker else "gate")).touch()

    def close_gate(self) -> None:
        (self.home / "gate").unlink(missing_ok=True)

    def job(self, job_id: str) -> Job:
        job = self.store.get(job_id)
        assert job is not None, f"{job_id} is lost"
        return job

    def completed(self, *ids: str) -> bool:
        return all(self.job(job_id).state is JobState.COMPLETED for job_id in ids)

    def cancelled(self, job_id: str) -> bool:
        return self.job(job_id).state is JobState.CANCELLED

    def failed(self, job_id: str) -> bool:
        return self.job(job_id).state is JobState.FAILED

    def jobs(self) -> dict[str, Job]:
        """All that the store has of the queues that the ledger and the registry know."""
        found: dict[str, Job] = {}
        queues = {queue for worker in self.store.workers() for queue in worker.queues} | self.queues
        for queue in queues:
            for state in JobState:
                after: str | None = ""
                while after is not None:
                    page, after = self.store.scan(queue, state, 1000, after)
                    found |= {job.id: job for job in page}
        return found

    queues = frozenset({"quick", "slow", "hog", "deadly", "work"})

    def rows(self) -> list[Row]:
        return read_audit(self._engine)

    # The proof

    def balance_after(self, change: Callable[[], object]) -> Balance:
        """The balance, once this has been done."""
        change()
        return self.balance()

    def balance(self, timeout: float = 40.0) -> Balance:
        """Wait until everything is settled and in the audit; then see that it adds up."""

        def at_rest() -> bool:
            stats = self.store.stats(sorted(self.queues))
            return not any(s.waiting + s.delayed + s.active for s in stats)

        eventually(at_rest, timeout=timeout, every=0.05)

        def told() -> Balance | None:
            balance = settle_accounts(read_ledger(self.home), self.jobs(), self.rows())
            return balance if balance.clean else None

        with suppress(AssertionError):  # what is wrong is said better below
            eventually(told, timeout=20.0, every=0.2)
        balance = settle_accounts(read_ledger(self.home), self.jobs(), self.rows())
        assert balance.clean, f"{balance}\n{balance.details()}"
        check_census(self._address, self.store.keys)
        return balance

    def log(self) -> str:
        return (self.home / "workers.log").read_text()

    def close(self) -> None:
        """End everything that was started, whatever state it is in, the helpers too."""
        deadline = time.monotonic() + 20
        for command in self._commands:
            with suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGKILL)
            command.wait(20)
        while ours := processes_of(self.home):
            assert time.monotonic() < deadline, f"still running: {ours}"
            for process in ours:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            eventually(lambda: not any(map(_alive, ours)), timeout=10.0)
        self._ledger.close()
        self.store.close()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def processes_of(home: Path) -> list[psutil.Process]:
    """Whatever runs with this home, wherever it has gone in the tree of processes."""
    mark, found = json.dumps(str(home)), []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if _alive(process) and mark in process.environ().get("FAULTS", ""):
                found.append(process)
    return found
