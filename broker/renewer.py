"""The helper process that renews one worker process's lease: `python -m broker.renewer`, fed by `leases`.

Reads one line of JSON (url, namespace, shard, owner, lease_ms, wedged_s) and then beats from standard
input. It ends when its parent does.
"""

import json
import os
import select
import signal
import sys
import time
from pathlib import Path

from broker.connection import RedisAddress
from broker.redis_store import RedisStore
from jobs.errors import CallboardError

#: Renewals in the time of one lease: two may fail before it runs out.
RENEWALS = 3


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with its parent, never before
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return 0  # the parent died while it started us
    told = json.loads(line)
    address = RedisAddress(told["url"])
    store = RedisStore(lambda: address, told["namespace"], told["shard"])
    parent, pause = os.getppid(), told["lease_ms"] / 1000 / RENEWALS
    last_beat = last_renewal = time.monotonic()
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], pause / 2)
        now = time.monotonic()
        if readable:
            if not os.read(sys.stdin.fileno(), 4096):
                return 0
            last_beat = now
        if now - last_renewal >= pause and now - last_beat < told["wedged_s"] and not _stopped(parent):
            try:
                store.renew(told["owner"], told["lease_ms"])
                last_renewal = now
            except CallboardError:
                pass  # the worker itself reports it
    return 0


def _stopped(pid: int) -> bool:
    """True while the process is suspended (SIGSTOP, a debugger, a frozen container)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False  # no /proc on this system: the missing beats must do
    return state in "Tt"


if __name__ == "__main__":
    sys.exit(main())
