"""`make chaos`: worker processes, producers and a server to which random bad things happen, and the proof
afterwards that nothing was lost, stuck or run twice without need.

CHAOS_SECONDS (600) and CHAOS_SEED (by chance) set how long and which, CHAOS_RATE (40) how many jobs a second
each producer sends, CHAOS_LONGEST_MS (1500) how long one may take. Ends with one line and exit code 0, or
says what is wrong and keeps the folder with ledger, audit and log.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from broker.redis.embedded import EmbeddedServer
from database.engine import make_engine
from database.migrations import migrate
from jobs.errors import CallboardError
from tests.broker.census import check_census
from tests.faults.fleet import Fleet
from tests.faults.hosts import Host
from tests.faults.ledger import Balance, read_ledger, settle_accounts
from tests.faults.mischief import Mischief
from tests.ports import free_port
from tests.proxy import proxy_to
from tests.waiting import eventually

HOSTS, PRODUCERS = 3, 2
#: Of each producer.
JOBS_PER_S = 40.0
LONGEST_MS = 1_500
#: Between two bad things, in seconds.
PAUSE_S = (0.1, 1.2)
#: The longest cut of all connections, once in a run that is long enough.
LONG_CUT_S, LONG_RUN_S = 30.0, 110.0
#: When nothing has moved for so long after the end, what is left is stuck.
STUCK_S = 45.0


class Chaos:
    def __init__(
        self,
        home: Path,
        seconds: float,
        seed: int,
        *,
        lease_s: float = 4.0,
        longest_ms: int = LONGEST_MS,
        jobs_per_s: float = JOBS_PER_S,
    ) -> None:
        """`longest_ms` is how long a job may take; after a lost lease jobs run one by one."""
        self.home = home
        self._seconds = seconds
        self._seed = seed
        self._lease_s = lease_s
        self._longest_ms = longest_ms
        self._jobs_per_s = jobs_per_s
        self._dice = random.Random(seed)
        self._pause = threading.Event()
        self._enough = False

    def cut_short(self) -> None:
        """End the bad things now; does nothing when they have ended."""
        self._enough = True

    def run(self) -> tuple[Balance, str]:
        """The balance in the end, and what had happened."""
        with ExitStack() as stack:
            server = EmbeddedServer(self.home / "server", port=free_port())
            stack.callback(server.stop)
            address = server.start()
            engine = make_engine(f"sqlite:///{self.home / 'callboard.db'}")
            stack.callback(engine.dispose)
            migrate(engine)
            fleet = Fleet(address, "callboard", self.home, engine)
            stack.callback(fleet.close)
            port = int(address.url.rpartition(":")[2].partition("/")[0])
            proxies = [stack.enter_context(proxy_to(port)) for _ in range(HOSTS + 1)]
            hosts = [Host(proxy, self._dice.uniform(-300, 300)) for proxy in proxies[:HOSTS]]
            mischief = Mischief(fleet, server, hosts, self._dice, self._lease_s)
            producers = [
                fleet.run(
                    "tests.faults.producer",
                    via=proxies[number % 2 * HOSTS].port,  # one beside a worker, one by itself
                    **fleet.options(
                        name=f"p{number}",
                        seed=self._seed + number,
                        jobs_per_s=self._jobs_per_s,
                        longest_ms=self._longest_ms,
                    ),
                )
                for number in range(PRODUCERS)
            ]
            self._rage(mischief)
            mischief.end()
            for producer in producers:
                producer.terminate()
            self._attend(mischief, lambda: all(p.poll() is not None for p in producers), 60.0)
            assert [producer.poll() for producer in producers] == [0] * PRODUCERS, fleet.log()[-3_000:]
            self._come_to_rest(fleet, mischief)
            balance = self._balance(fleet, mischief)
            self._end(fleet, hosts, balance)
            check_census(address, fleet.store.keys)
            return balance, mischief.describe()

    def _rage(self, mischief: Mischief) -> None:
        end = time.monotonic() + self._seconds
        next_at = time.monotonic() + 2.5  # until there is somebody to harm
        cut_at = end - LONG_CUT_S - 60.0 if self._seconds >= LONG_RUN_S else float("inf")
        while (now := time.monotonic()) < end and not self._enough:
            mischief.attend()
            if now >= cut_at:
                mischief.drop_packets_for(LONG_CUT_S)
                cut_at = float("inf")
            if now >= next_at:
                mischief.happen()
                next_at = time.monotonic() + self._dice.uniform(*PAUSE_S)
            self._pause.wait(0.02)

    def _attend(self, mischief: Mischief, done: Callable[[], bool], timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            mischief.attend()
            if done():
                return True
            self._pause.wait(0.05)
        return False

    def _come_to_rest(self, fleet: Fleet, mischief: Mischief) -> None:
        before: object = None
        moved_at = time.monotonic()

        def at_rest() -> bool:
            nonlocal before, moved_at
            stats = fleet.store.stats(sorted(fleet.queues))
            left = [(s.waiting, s.delayed, s.active, s.completed_total, s.failed_total) for s in stats]
            if left != before:
                before, moved_at = left, time.monotonic()
            return not any(sum(counts[:3]) for counts in left) or time.monotonic() - moved_at > STUCK_S

        self._attend(mischief, at_rest, 600.0)

    def _balance(self, fleet: Fleet, mischief: Mischief) -> Balance:
        """Audit rows come a moment later."""

        def count() -> Balance:
            return settle_accounts(read_ledger(self.home), fleet.jobs(), fleet.rows(), mischief.excuses)

        with suppress(AssertionError):
            eventually(lambda: count().clean, timeout=20.0, every=0.5)
        return count()

    def _end(self, fleet: Fleet, hosts: list[Host], balance: Balance) -> None:
        """All stop as they are told to, and leave nothing behind."""
        for host in hosts:
            if host.command is not None:
                host.command.terminate()
        with suppress(AssertionError):
            eventually(
                lambda: all(h.command is None or h.command.poll() is not None for h in hosts), timeout=30.0
            )
        balance.wrong += [
            f"{h.command.pid} did not stop" for h in hosts if h.command and h.command.poll() is None
        ]
        with suppress(AssertionError, CallboardError):
            eventually(lambda: not fleet.store.workers(), timeout=self._lease_s + 2.0)
        balance.wrong += [f"{worker.owner} is still registered" for worker in fleet.store.workers()]


def main() -> int:
    seconds = float(os.environ.get("CHAOS_SECONDS", "600"))
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randint(1, 10**6))
    home = Path(tempfile.mkdtemp(prefix="callboard-chaos-"))
    _say(f"Chaos for {seconds:.0f} s with CHAOS_SEED={seed}")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # so that all it started ends too
    rate = float(os.environ.get("CHAOS_RATE") or JOBS_PER_S)
    longest_ms = int(os.environ.get("CHAOS_LONGEST_MS") or LONGEST_MS)
    balance, happened = Chaos(home, seconds, seed, longest_ms=longest_ms, jobs_per_s=rate).run()
    _say(happened)
    _say(str(balance))
    if balance.clean:
        shutil.rmtree(home)
        return 0
    _say(f"{balance.details()}\nSee {home}.")
    return 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
