"""Actors for `dramatiq tests.faults.subjects`: the whole stack, set up by the environment variable FAULTS.

Each run is noted in the ledger, so that the tests see every run there was.
"""

import ctypes
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dramatiq
import dramatiq.common
from dramatiq.broker import MessageProxy

import broker.redis.event_stream
import broker.worker.chores
import broker.worker.intake
import broker.worker.leases
import broker.worker.relay
from actors.composition import App
from actors.declare import actor
from jobs.errors import HoldJob
from jobs.model import FetchedJob
from settings import Settings
from tests.faults import traps
from tests.faults.ledger import Writer

told: dict[str, Any] = json.loads(os.environ["FAULTS"])
if told["skew_s"]:
    # A host whose clock is wrong.
    true_time, true_time_ns = time.time, time.time_ns
    time.time = lambda: true_time() + told["skew_s"]
    time.time_ns = lambda: true_time_ns() + int(told["skew_s"] * 1e9)
    vars(dramatiq.common)["time"] = time.time

#: A killed process may have had events in hand; others take them over after 30 s, which is long for a test.
(
    broker.redis.event_stream.READER_IDLE_MS,
    broker.redis.event_stream.LOOK_BACK_EVERY,
    broker.worker.relay.BLOCK_MS,
) = 1_000, 2, 500
if not told["patient"]:
    broker.worker.chores.RECLAIM_EVERY_S = 0.5
    broker.worker.leases.BEAT_S = 0.3
    broker.worker.intake.UNKNOWN_ACTOR_DELAY_MS = 500

HOME = Path(told["home"])
app = App(
    Settings.model_validate(
        {
            "redis": {"url": told["redis"], "namespace": told["namespace"]},
            "home": HOME,
            "workers": {
                "lease_seconds": told["lease_s"],
                "stop_seconds": told["stop_s"],
                "type": "chosen" if told["queues"] else "all",
            },
            "groups": {"chosen": told["queues"]},
            "queue_defaults": {
                "backoff": {"type": "fixed", "delay_ms": 200},
                "retention": {"completed_count": None},
                "concurrency": 8,
            },
        }
    )
)
dramatiq.set_broker(app.broker)
ledger = Writer(HOME)
here = threading.local()


class Run(dramatiq.Middleware):
    """Tells the actor which delivery it runs."""

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        here.job = message.job


app.broker.add_middleware(Run())
traps.set_for(told["trap"], told["helper_trap"], told.get("nth", 1))


@contextmanager
def noted() -> Iterator[FetchedJob]:
    job: FetchedJob = here.job
    ledger.note("started", job.id, token=job.token, attempt=job.attempt)
    traps.reached("in the actor")
    try:
        yield job
    except BaseException as error:
        word = "held" if isinstance(error, HoldJob) else "stopped"
        ledger.note(word, job.id, token=job.token, attempt=job.attempt)
        raise
    ledger.note("ended", job.id, token=job.token, attempt=job.attempt)


@actor(queue="quick")
def quick(n: int) -> None:
    with noted():
        pass


@actor(queue="slow")
def slow(n: int) -> None:
    """Runs until the test opens the gate, for all or for this process."""
    with noted():
        pause = threading.Event()
        while not ((HOME / "gate").exists() or (HOME / f"gate-{os.getpid()}").exists()):
            pause.wait(0.02)


@actor(queue="hog")
def hog(n: int, seconds: int) -> None:
    """Holds the interpreter lock all the time: PyDLL, unlike CDLL, does not let go of it around a call."""
    with noted():
        ctypes.PyDLL(None).sleep(seconds)


@actor(queue="deadly", attempts=10)
def deadly(n: int) -> None:
    with noted():
        os.kill(os.getpid(), signal.SIGKILL)


@actor(queue="work", attempts=8)
def work(n: int, ms: int = 0, fails: int = 0, holds: int = 0) -> None:
    """Takes its time, and fails and is held as often as asked."""
    with noted() as job:
        if job.token <= holds:
            raise HoldJob(0.05, "the test wants it", "lane" if n % 2 else "job")
        pause = threading.Event()
        end = time.monotonic() + ms / 1000
        while (left := end - time.monotonic()) > 0:
            pause.wait(min(left, 0.05))
        if job.attempt <= fails:
            raise ConnectionError("the test wants it")


@actor(queue="chained", on_success="after_chained")
def chained(n: int) -> int:
    with noted():
        return n


@actor(queue="after")
def after_chained(message: dict[str, Any], result: int) -> int:
    return result


@actor(queue="after")
def next_in_line(result: int) -> int:
    return result


if told["release"] == "newcomer":

    @actor(queue="quick")
    def newcomer(n: int) -> None:
        with noted():
            pass
