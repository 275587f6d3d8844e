"""The helper process of one worker process: `python -m broker.worker.renewer`, fed by `leases`.

It renews the worker's lease in every shard while the worker lives, and is its executor when it is killed:
what by the ledger had not started goes back unspent, and the rest is reclaimed at once instead of after
the lease. Where the helper dies too (the host is gone), the lease runs out and any worker reclaims.

Reads one line of JSON (see `leases`) and then beats from standard input; GOODBYE is a stop on purpose.
"""

import json
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
from broker.worker.ledger import read_started
from jobs.errors import CallboardError
from jobs.model import Outcome, Verdict
from jobs.store import JobStore

#: Renewals in the time of one lease: two may fail before it runs out.
RENEWALS = 3
GOODBYE = b"!"
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
    """Renew until the parent is gone (True) or says goodbye (False)."""
    pause = told["lease_ms"] / 1000 / RENEWALS
    last_beat = last_renewal = time.monotonic()
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], pause / 2)
        now = time.monotonic()
        if readable:
            beats = os.read(sys.stdin.fileno(), 4096)
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
    with suppress(CallboardError):  # the server is away: the lease runs out by itself
        if started is not None:
            # What the store gave it and it never started, be it that the reply never arrived.
            unstarted = {i: token for i, token in store.owned(owner).items() if started.get(i) != token}
            verdicts = [Verdict(job_id, token, Outcome.RETURNED) for job_id, token in unstarted.items()]
            store.settle(owner, verdicts)
            store.offer({job.queue for job_id in unstarted if (job := store.get(job_id))})
        if store.renew(owner, 0):
            while store.reclaim(told["max_lost"]):
                pass


def _stopped(pid: int) -> bool:
    """True while the process is suspended (SIGSTOP, a debugger, a frozen container)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False  # no /proc on this system: the missing beats must do
    return state in "Tt"


if __name__ == "__main__":
    sys.exit(main())
