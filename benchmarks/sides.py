"""The two sides of every comparison, behind one protocol so that both are measured by the same code."""

import os
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import dramatiq
import redis

if TYPE_CHECKING:
    from broker.broker import CallboardBroker

#: The payload of every job, beside its number.
TEXT = (
    "The quick brown fox jumps over the lazy dog; 200 bytes of text stand for a usual payload. " * 2
    + "x" * 20
)
BATCH = 1_000
AUDIT_TIMEOUT_S = 60.0


class SideFailed(Exception):
    """One side could not be measured; the message is one sentence that names the side and the cause."""


class Side(Protocol):
    """What a measurement may ask of a side."""

    name: str
    #: What the `dramatiq` command is told to load, and to load for a worker of 40 idle queues.
    module: str
    idle_module: str
    noop: "dramatiq.Actor[..., Any]"
    stamp: "dramatiq.Actor[..., Any]"
    hold: "dramatiq.Actor[..., Any]"
    #: A connection to its database.
    server: "redis.Redis"

    def clear(self) -> None:
        """Begin with an empty database on the server. No worker of this side may run."""

    def fill(self, jobs: int) -> None:
        """Enqueue no-ops numbered from 0, as fast as the side can."""

    def pending(self) -> int:
        """Jobs that the server has accepted and that are not settled yet."""

    def verify(self, jobs: int, check: Callable[[], None]) -> None:
        """After a drain: raise SideFailed unless every job left what it should. Not part of any time.
        `check` raises when the workers have ended."""


class Ours:
    """Callboard as `compose()` makes it: the default middleware, the audit in SQLite."""

    name = "ours"
    module = "benchmarks.actors_ours"
    idle_module = "benchmarks.actors_idle_ours"
    noop: "dramatiq.Actor[..., Any]"
    stamp: "dramatiq.Actor[..., Any]"
    hold: "dramatiq.Actor[..., Any]"

    def __init__(self) -> None:
        from benchmarks import actors_ours
        from database.audit import AuditReader
        from database.migrations import migrate

        self.noop, self.stamp, self.hold = actors_ours.noop, actors_ours.stamp, actors_ours.hold
        self.queue = actors_ours.QUEUE
        self.app = actors_ours.app
        self.server = redis.Redis.from_url(os.environ["REDIS_URL"])
        migrate(self.app.engine())
        self._audit = AuditReader(self.app.engine())
        self._rows_before = 0
        #: How long, in seconds, the last audit row came after the end of a drain; the worst of all drains.
        self.audit_lag_s = 0.0

    def clear(self) -> None:
        _flush(self.server)
        self._rows_before = self._audit.count_executions()

    def fill(self, jobs: int) -> None:
        send_all(self.app.broker, (self.noop.message(number, TEXT) for number in range(jobs)))

    def pending(self) -> int:
        (stats,) = self.app.store.stats([self.queue])
        return stats.waiting + stats.delayed + stats.active

    def verify(self, jobs: int, check: Callable[[], None]) -> None:
        began = time.monotonic()
        while (rows := self._audit.count_executions() - self._rows_before) != jobs:
            if rows > jobs or time.monotonic() - began > AUDIT_TIMEOUT_S:
                raise SideFailed(f"ours ran {jobs:,} jobs but has {rows:,} audit rows for them.")
            check()
            time.sleep(0.02)
        self.audit_lag_s = max(self.audit_lag_s, time.monotonic() - began)


class Stock:
    """Dramatiq's RedisBroker as its documentation starts it: no argument but the URL."""

    name = "stock"
    module = "benchmarks.actors_stock"
    idle_module = "benchmarks.actors_idle_stock"

    def __init__(self) -> None:
        from benchmarks import actors_stock

        self.noop, self.stamp, self.hold = actors_stock.noop, actors_stock.stamp, actors_stock.hold
        self.server = redis.Redis.from_url(os.environ[actors_stock.STOCK_URL])
        namespace, queue = actors_stock.broker.namespace, actors_stock.QUEUE
        # A message stays in this hash from enqueue to acknowledgement.
        self._messages = f"{namespace}:{queue}.msgs"

    def clear(self) -> None:
        _flush(self.server)

    def fill(self, jobs: int) -> None:
        for number in range(jobs):  # it has no batch
            self.noop.send(number, TEXT)

    def pending(self) -> int:
        return int(self.server.hlen(self._messages))

    def verify(self, jobs: int, check: Callable[[], None]) -> None:
        """Nothing: it writes no audit."""


def only_ours(side: Side) -> Ours:
    """For the rows that stock cannot take part in."""
    if not isinstance(side, Ours):
        raise TypeError(f"{side.name} cannot be measured in this row")
    return side


def send_all(broker: "CallboardBroker", messages: "Iterable[dramatiq.Message[Any]]") -> None:
    """Enqueue in batches of 1,000."""
    rest = iter(messages)
    while batch := list(islice(rest, BATCH)):
        broker.enqueue_many(batch)


def _flush(server: "redis.Redis") -> None:
    # Not in the background: the freeing of a million jobs must not fall into the next measurement.
    server.execute_command("FLUSHDB", "SYNC")  # type: ignore[no-untyped-call]
