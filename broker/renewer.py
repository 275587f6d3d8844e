"""The helper process of one worker process: `python -m broker.renewer`, fed by `leases`.

It renews the worker's lease while the worker lives, and is its executor when it is killed: what by the
ledger had not started goes back unspent, and the rest is reclaimed at once instead of after the lease.
Where the helper dies too (the host is gone), the lease runs out and any worker reclaims.

Reads one line of JSON (see `leases`) and then beats from standard input; GOODBYE is a stop on purpose.
"""

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from broker.connection import RedisAddress
from broker.ledger import read_started
from broker.redis_store import RedisStore
from jobs.errors import CallboardError
from jobs.model import Outcome, Verdict

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
    address = RedisAddress(told["url"])
    store = RedisStore(lambda: address, told["namespace"], told["shard"])
    parent = told["parent"]
    if _accompany(store, told, parent) and _orphaned(parent):
        with suppress(CallboardError):  # Redis is away: the lease runs out by itself
            _execute(store, told)
    return 0


def _accompany(store: RedisStore, told: dict[str, Any], parent: int) -> bool:
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
            with suppress(CallboardError):  # the worker itself reports it
                store.renew(told["owner"], told["lease_ms"])
                last_renewal = now
    return True


def _orphaned(parent: int) -> bool:
    deadline = time.monotonic() + ORPHANED_WITHIN_S
    while os.getppid() == parent and time.monotonic() < deadline:
        time.sleep(0.01)
    return os.getppid() != parent


def _execute(store: RedisStore, told: dict[str, Any]) -> None:
    """Give back what the dead worker held."""
    owner = told["owner"]
    started = None if told["ledger"] is None else read_started(told["ledger"])
    if started is not None:
        # What the store gave it and it never started, be it that the reply never arrived.
        unstarted = {i: token for i, token in store.owned(owner).items() if started.get(i) != token}
        store.settle(owner, [Verdict(job_id, token, Outcome.RETURNED) for job_id, token in unstarted.items()])
        store.wake({job.queue for job_id in unstarted if (job := store.get(job_id))})
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
