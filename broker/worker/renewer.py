"""The helper process of one worker process: `python -m broker.worker.renewer`, fed by `leases`.

It renews the worker's lease in every shard while the worker lives, and is its executor when it is killed:
what by the ledger had not started goes back unspent, and the rest is reclaimed at once instead of after
the lease. Where the helper dies too (the host is gone), the lease runs out and any worker reclaims. A worker
that has not ended in time after its stop signal it kills itself: a job may hold the interpreter lock.

Reads one line of JSON (see `leases`) and then beats from standard input; GOODBYE is a stop on purpose.
"""

import json
import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from broker.redis.topology import Topology
from broker.worker.alarm import STOP_SIGNALS
from broker.worker.ledger import read_limit, read_started
from jobs.errors import CallboardError
from jobs.model import Outcome, Verdict
from jobs.store import JobStore

#: Renewals in the time of one lease: two may fail before it runs out.
RENEWALS = 3
GOODBYE = b"!"
#: A parent that sent no beat for so long does not move, in seconds; and for so long it must look stuck.
SILENT_S, CERTAIN_S = 5.0, 3.0
#: The pipe closes a moment before the kernel gives us another parent.
ORPHANED_WITHIN_S = 2.0


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with its parent, never before
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return 0  # the parent died while it started us
    told = json.loads(line)
    stores = list(Topology.from_description(told).store().shards.values())
    renewals = [Renewal(store, told["owner"], told["lease_ms"]) for store in stores]
    for renewal in renewals:
        renewal.start()
    parent = told["parent"]
    if _accompany(renewals, told, parent) and _orphaned(parent):
        executions = [
            threading.Thread(target=_execute, args=(store, renewal, told), daemon=True)
            for store, renewal in zip(stores, renewals, strict=True)
        ]
        for execution in executions:
            execution.start()
        for execution in executions:
            execution.join()
    return 0


class Renewal(threading.Thread):
    """Renews in one shard when it is told to: a server that does not answer must not hold up the others."""

    def __init__(self, store: JobStore, owner: str, lease_ms: int) -> None:
        super().__init__(daemon=True)
        self.due = threading.Event()
        self._store = store
        self._owner = owner
        self._lease_ms = lease_ms
        self._ended = False

    def run(self) -> None:
        while not self._ended:
            self.due.wait()
            self.due.clear()
            if not self._ended:
                with suppress(CallboardError):  # the worker itself reports it
                    self._store.renew(self._owner, self._lease_ms)

    def end(self) -> None:
        """Renew no more; a renewal on its way has arrived when this returns."""
        self._ended = True
        self.due.set()
        self.join()


def _accompany(renewals: Sequence[Renewal], told: dict[str, Any], parent: int) -> bool:
    """Renew until the parent is gone (True) or says goodbye (False).

    False too when a renewal has died of an error that nobody foresaw: the parent starts another helper.
    """
    pause = told["lease_ms"] / 1000 / RENEWALS
    last_beat = last_renewal = time.monotonic()
    beats_from, limit, stuck = sys.stdin.fileno(), StopLimit(told), StuckRun(told)
    while os.getppid() == parent:
        wait = max(0.0, min(pause / 2, limit.end_at - time.monotonic()))
        readable, _, _ = select.select([beats_from, *limit.sources], [], [], wait)
        now = time.monotonic()
        if limit.passed(readable, now) or stuck.passed(now, last_beat):
            os.kill(parent, signal.SIGKILL)
        if not all(renewal.is_alive() for renewal in renewals):
            return False
        if beats_from in readable:
            beats = os.read(beats_from, 4096)
            if GOODBYE in beats:
                return False
            if not beats:
                return True
            last_beat = now
        if now - last_renewal >= pause and now - last_beat < told["wedged_s"] and not _stopped(parent):
            last_renewal = now
            for renewal in renewals:
                renewal.due.set()
    return True


class StopLimit:
    """When the parent must have ended: some time after a stop signal, of which `told["signals"]` tells."""

    def __init__(self, told: dict[str, Any]) -> None:
        in_s = told.get("end_in_s")
        self.end_at = math.inf if in_s is None else time.monotonic() + in_s
        self.sources = [] if told.get("signals") is None else [told["signals"]]
        self._stop_s = told.get("stop_s", math.inf)

    def passed(self, readable: Sequence[int], now: float) -> bool:
        for source in self.sources:
            if source in readable:
                signals = os.read(source, 4096)
                if not signals:
                    self.sources = []  # nobody has the other end any more
                elif STOP_SIGNALS.intersection(signals):
                    self.end_at = min(self.end_at, now + self._stop_s)
        if now < self.end_at:
            return False
        self.end_at = math.inf
        sys.stderr.write("The worker did not end in time after its stop signal and is killed.\n")
        return True


class StuckRun:
    """When a run has passed its hard limit while no thread of the parent moves: it holds the interpreter
    lock, so the parent cannot even end itself. The ledger has the limit."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._ledger: int | None = told.get("ledger")
        self._parent: int = told["parent"]
        self._since = math.inf

    def passed(self, now: float, last_beat: float) -> bool:
        if self._ledger is None or now - last_beat < SILENT_S:
            self._since = math.inf
            return False
        until = read_limit(self._ledger)
        if until is None or now < until or _stopped(self._parent):
            self._since = math.inf
            return False
        # Seen twice: after a pause of the whole machine the parent has its turn first.
        self._since = min(self._since, now)
        if now - self._since < CERTAIN_S:
            return False
        self._ledger = None
        sys.stderr.write("A job runs past its hard limit and lets nothing else move: its worker is killed.\n")
        return True


def _orphaned(parent: int) -> bool:
    deadline = time.monotonic() + ORPHANED_WITHIN_S
    while os.getppid() == parent and time.monotonic() < deadline:
        time.sleep(0.01)
    return os.getppid() != parent


def _execute(store: JobStore, renewal: Renewal, told: dict[str, Any]) -> None:
    """Give back what the dead worker held in one shard."""
    renewal.end()
    owner = told["owner"]
    started = None if told["ledger"] is None else read_started(told["ledger"])
    try:
        if started is not None:
            # What the store gave it and it never started, be it that the reply never arrived.
            unstarted = {i: token for i, token in store.owned(owner).items() if started.get(i) != token}
            verdicts = [Verdict(job_id, token, Outcome.RETURNED) for job_id, token in unstarted.items()]
            store.settle(owner, verdicts)
            store.offer({job.queue for job_id in unstarted if (job := store.get(job_id))})
        if store.renew(owner, 0):
            while store.reclaim(told["max_lost"]):
                pass
    except CallboardError as error:
        sys.stderr.write(f"The jobs of a killed worker wait until its lease ends: {error}\n")


def _stopped(pid: int) -> bool:
    """True while the process is suspended (SIGSTOP, a debugger, a frozen container)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False  # no /proc on this system: the missing beats must do
    return state in "Tt"


if __name__ == "__main__":
    sys.exit(main())
