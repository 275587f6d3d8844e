"""Everything bad that can happen to hosts, network, server and queues, and when each of it ends again."""

import heapq
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from broker.redis.embedded import EmbeddedServer
from jobs.errors import CallboardError
from jobs.model import Scope
from jobs.rules import Rate
from tests.faults.fleet import Fleet
from tests.faults.hosts import Harm, Host
from tests.faults.ledger import Row, read_ledger, runs_in
from tests.faults.worker import WorkerUnderTest
from tests.proxy import Mode

QUEUE = "work"
CHANGES: dict[str, list[object]] = {
    "cap": [1, 3, 10, None],
    "rate": [Rate(20, 500), Rate(100, 1_000), None],
    "lane_cap": [1, 2, None],
    "lane_rate": [Rate(10, 500), None],
    "priority": [1, 9, None],
}


class Mischief:
    """`lease_s` is that of the workers. `happen` does one random thing; `attend` is called all the time."""

    def __init__(
        self, fleet: Fleet, server: EmbeddedServer, hosts: list[Host], dice: random.Random, lease_s: float
    ) -> None:
        self.counts: dict[str, int] = {}
        self._fleet = fleet
        self._server = server
        self._hosts = hosts
        self._dice = dice
        self._lease_s = lease_s
        self._harms: list[Harm] = []
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        self._sent = 0
        self._looked_at = -1
        self._deadly: set[str] = set()
        self._server_is_up = True
        self._all: list[tuple[int, Callable[[], None]]] = [
            (3, self._kill_worker),
            (2, self._kill_helper),
            (2, self._lose_host),
            (2, self._freeze_worker),
            (2, self._stop_worker),
            (3, self._cut_connections),
            (3, self._drop_replies),
            (2, self._drop_packets),
            (2, self._refuse_connections),
            (1, self._kill_server),
            (1, self._restart_server),
            (1, self._freeze_server),
            (1, self._send_a_deadly_job),
            (1, self._send_a_hog),
            (2, self._pause),
            (4, self._adjust),
            (2, self._rest),
            (6, self._cancel_some),
            (2, self._change_some),
        ]

    def happen(self) -> None:
        """One thing, by the dice."""
        (fault,) = self._dice.choices(
            [fault for _, fault in self._all], weights=[weight for weight, _ in self._all]
        )
        self.counts[fault.__name__.strip("_")] = self.counts.get(fault.__name__.strip("_"), 0) + 1
        fault()

    def attend(self) -> None:
        """Start what has ended, and end what has lasted long enough."""
        for host in self._hosts:
            self._supervise(host)
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()

    def end(self) -> None:
        """Everything is well again."""
        while self._later:
            heapq.heappop(self._later)[2]()
        store = self._fleet.store
        for scope, changes in store.adjustments().items():
            store.adjust(scope, dict.fromkeys(changes))
        for lane in (None, "acme", "globex"):
            store.wake(Scope(QUEUE, lane))

    def excuses(self, row: Row) -> bool:
        """Whether the owner of a lost lease had been kept from renewing it."""
        if row.owner.split(":")[1] in self._died_of_a_job():
            return True
        harms = [*self._harms, *(harm for host in self._hosts for harm in host.harms)]
        return any(harm.excuses(row, self._lease_s) for harm in harms)

    def _died_of_a_job(self) -> set[str]:
        """Processes in which a deadly job ran, at most once each."""
        if self._sent != self._looked_at:
            runs = runs_in(read_ledger(self._fleet.home))
            self._deadly = {str(run.pid) for run in runs if run.job_id.startswith("deadly")}
            self._looked_at = self._sent
        return self._deadly

    def describe(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(self.counts.items()))

    # Hosts

    def _supervise(self, host: Host) -> None:
        if host.command is not None and host.command.poll() is not None:
            if host.worker is not None:
                host.harms.append(Harm(host.worker.owner, time.time() - 2.0, time.time()))
            host.command = host.worker = None
        if host.command is None:
            host.command = self._fleet.begin(
                lease_s=self._lease_s, stop_s=1.0, threads=6, via=host.proxy.port, skew_s=host.skew_s
            )
        elif host.worker is None and self._server_is_up:
            with suppress(CallboardError):
                if (info := self._fleet.registered(host.command)) is not None:
                    host.worker = WorkerUnderTest(host.command, info)

    def _somebody(self) -> Host | None:
        there = [host for host in self._hosts if host.worker is not None]
        return self._dice.choice(there) if there else None

    def _kill_worker(self) -> None:
        if (host := self._somebody()) and host.worker:
            self._harm(host, 0.0)
            host.worker.kill()

    def _kill_helper(self) -> None:
        if (host := self._somebody()) and host.worker:
            self._harm(host, 3.0)  # until there is a new one
            host.worker.kill_helper()

    def _lose_host(self) -> None:
        if (host := self._somebody()) and host.worker and host.worker.helpers:
            self._harm(host, 0.0)
            host.worker.lose_host()

    def _freeze_worker(self) -> None:
        if (host := self._somebody()) and host.worker:
            seconds = self._dice.uniform(0.2, 2.5 * self._lease_s)
            self._harm(host, seconds)
            with suppress(ProcessLookupError):
                host.worker.pause()
            self._in(seconds, host.worker.resume)

    def _stop_worker(self) -> None:
        """As a deploy does."""
        if (host := self._somebody()) and host.worker:
            self._harm(host, 3.0)
            host.worker.terminate()

    # Network

    def _cut_connections(self) -> None:
        self._dice.choice(self._hosts).proxy.cut()

    def _drop_replies(self) -> None:
        self._bend(Mode.DROP_REPLIES, 0.02, 1.0)

    def _drop_packets(self) -> None:
        self._bend(Mode.BLACKHOLE, 0.2, 2.5 * self._lease_s)

    def _refuse_connections(self) -> None:
        self._bend(Mode.REFUSE, 0.05, 1.5 * self._lease_s)

    def drop_packets_for(self, seconds: float) -> None:
        """From and to everybody."""
        self._harms.append(Harm(None, time.time(), time.time() + seconds))
        for host in self._hosts:
            host.proxy.mode = Mode.BLACKHOLE
            self._in(seconds, partial(setattr, host.proxy, "mode", Mode.FORWARD))

    def _bend(self, mode: Mode, least: float, most: float) -> None:
        host, seconds = self._dice.choice(self._hosts), self._dice.uniform(least, most)
        self._harm(host, seconds)
        host.proxy.mode = mode
        self._in(seconds, lambda: setattr(host.proxy, "mode", Mode.FORWARD))

    # Server

    def _kill_server(self) -> None:
        self._without_server(lambda: os.kill(self._pid, signal.SIGKILL), self._dice.uniform(0.0, 3.0))

    def _restart_server(self) -> None:
        self._without_server(self._server.stop, self._dice.uniform(0.0, 1.0))

    def _without_server(self, end: Callable[[], object], seconds: float) -> None:
        if self._server_is_up:
            self._server_is_up = False
            self._harms.append(harm := Harm(None, time.time()))
            end()
            self._in(seconds, lambda: self._start_server(harm))

    def _start_server(self, harm: Harm) -> None:
        self._server.stop()
        self._server.start()
        harm.until, self._server_is_up = time.time(), True

    def _freeze_server(self) -> None:
        if self._server_is_up:
            seconds = self._dice.uniform(0.1, 2.5)
            self._harms.append(Harm(None, time.time(), time.time() + seconds))
            self._server_is_up = False
            os.kill(self._pid, signal.SIGSTOP)
            self._in(seconds, self._thaw_server)

    def _thaw_server(self) -> None:
        os.kill(self._pid, signal.SIGCONT)
        self._server_is_up = True

    @property
    def _pid(self) -> int:
        assert self._server.pid is not None
        return self._server.pid

    # Jobs and operators

    def _send_a_deadly_job(self) -> None:
        self._operate(lambda: self._fleet.send("deadly", [self._number()], attempts=10))

    def _send_a_hog(self) -> None:
        seconds = max(1, round(self._lease_s * 1.5))
        self._operate(lambda: self._fleet.send("hog", [self._number()], seconds=seconds))

    def _pause(self) -> None:
        scope = Scope(QUEUE, self._dice.choice([None, "acme", "globex"]))
        self._operate(lambda: self._fleet.store.adjust(scope, {"paused": True}))
        self._in(self._dice.uniform(0.2, 3.0), lambda: self._unpause(scope))

    def _unpause(self, scope: Scope) -> None:
        if not self._operate(lambda: self._fleet.store.adjust(scope, {"paused": None})):
            self._in(0.5, lambda: self._unpause(scope))

    def _adjust(self) -> None:
        if self._dice.random() < 0.3:
            value: object
            scope, name, value = Scope(QUEUE, "acme"), "weight", self._dice.choice([0.5, 3.0, None])
        else:
            scope, name = Scope(QUEUE), self._dice.choice(list(CHANGES))
            value = self._dice.choice(CHANGES[name])
        self._operate(lambda: self._fleet.store.adjust(scope, {name: value}))

    def _rest(self) -> None:
        scope = Scope(QUEUE, self._dice.choice([None, "acme", "globex", "initech"]))
        self._operate(lambda: self._fleet.store.rest(scope, self._dice.randint(50, 2_000), "chaos"))

    def _cancel_some(self) -> None:
        self._operate(lambda: self._fleet.store.cancel(self._some_jobs(), "chaos"))

    def _change_some(self) -> None:
        ids, priority = self._some_jobs(), self._dice.randint(1, 10)
        self._operate(lambda: self._fleet.store.set_priority(ids, priority))
        self._operate(lambda: self._fleet.store.promote(ids))

    def _some_jobs(self) -> list[str]:
        ids = [line.job_id for line in read_ledger(self._fleet.home)[-600:] if "~" in line.job_id]
        return self._dice.sample(ids, min(4, len(ids)))

    def _operate(self, call: Callable[[], object]) -> bool:
        """An operator's call; whether it succeeded. It may fail while the server is away."""
        if not self._server_is_up:
            return False
        try:
            call()
        except CallboardError:
            return False
        return True

    # Inside

    def _number(self) -> int:
        self._sent += 1
        return self._sent

    def _harm(self, host: Host, seconds: float) -> None:
        if host.worker is not None:
            now = time.time()
            host.harms.append(Harm(host.worker.owner, now, now + seconds))

    def _in(self, seconds: float, call: Callable[[], object]) -> None:
        self._sent += 1
        heapq.heappush(self._later, (time.monotonic() + seconds, self._sent, call))
