"""Points at which a process under test dies, as if somebody had killed it just there. Only tests set them.

Each is a step of the protocol; the process gets SIGKILL before or after a call that the step is made of.
"""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import broker.worker.leases
from broker.redis.redis_store import RedisStore
from broker.worker.exchange import Exchange
from broker.worker.intake import Intake
from broker.worker.lifecycle import Lifecycle

_set: list[str] = []
#: How often the process was at a step of `reached`, and at which time it dies.
_times = itertools.count(1)
_dies_at = [1]

Die = Callable[[], None]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def reached(step: str) -> None:
    """The process is at a step: it dies here if the test wants it."""
    if step in _set and next(_times) >= _dies_at[0]:
        die()


def set_for(step: str, helper_step: str, nth: int = 1) -> None:
    """Set the trap of a worker, and the one that its lease helper shall have. Where the step is one of the
    actors here, the worker dies when it is there for the `nth` time."""
    if step:
        _set.append(step)
        _dies_at[0] = nth
    if step in STEPS:
        STEPS[step]()
    if helper_step:
        own = [sys.executable, "-m", "tests.faults.traps", helper_step]

        def start(arguments: list[str], **options: Any) -> "subprocess.Popen[bytes]":
            return subprocess.Popen(own, **options)

        vars(broker.worker.leases)["subprocess"] = SimpleNamespace(**(vars(subprocess) | {"Popen": start}))


def _before(kind: type, name: str) -> None:
    setattr(kind, name, lambda *args, **kwargs: die())


def _after(kind: type, name: str, counts: Callable[[tuple[Any, ...], Any], bool]) -> None:
    """Die after a call that counts: the server has carried it out, and nobody hears of it."""
    call = getattr(kind, name)

    def and_then(*args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        if counts(args, result):
            die()
        return result

    setattr(kind, name, and_then)


def _settled() -> None:
    _after(RedisStore, "settle", lambda args, result: bool(args[2]))
    _after(RedisStore, "settle_and_fetch", lambda args, result: bool(args[1]))


STEPS: dict[str, Callable[[], None]] = {
    "the job has arrived": lambda: _before(Intake, "__call__"),
    "a thread is chosen": lambda: _before(Lifecycle, "_start"),
    "the actor has ended": lambda: _before(Exchange, "finished"),
    "the settlement is stored": _settled,
    "lost jobs are taken back": lambda: _after(RedisStore, "reclaim", lambda args, result: result > 0),
    "unstarted jobs are given back": lambda: _after(RedisStore, "settle", lambda args, result: True),
}


if __name__ == "__main__":
    from broker.worker.renewer import main

    STEPS[sys.argv[1]]()
    sys.exit(main())
