"""The two sides of every comparison, behind one protocol so that both are measured by the same code."""

import os
import time
from typing import Any, Protocol

import dramatiq
import redis

#: The payload of every job, beside its number.
TEXT = (
    "The quick brown fox jumps over the lazy dog; 200 bytes of text stand for a usual payload. " * 2
    + "x" * 20
)
AUDIT_TIMEOUT_S = 60.0


class SideFailed(Exception):
    """One side could not be measured; the message is one sentence that names the side and the cause."""


class Side(Protocol):
    """What a measurement may ask of a side."""

    name: str
    #: What the `dramatiq` command is told to load.
    module: str
    noop: "dramatiq.Actor[..., Any]"
    stamp: "dramatiq.Actor[..., Any]"

    def clear(self) -> None:
        """Begin with an empty database on the server. No worker of this side may run."""

    def fill(self, jobs: int) -> None:
        """Enqueue no-ops numbered from 0, as fast as the side can."""

    def pending(self) -> int:
        """Jobs that the server has accepted and that are not settled yet."""

    def verify(self, jobs: int) -> None:
        """After a drain: raise SideFailed unless every job left what it should. Not part of any time."""


class Ours:
    """Callboard as `compose()` makes it: the default middleware, the audit in SQLite."""

    name = "ours"
    module = "benchmarks.actors_ours"

    def __init__(self) -> None:
        from benchmarks import actors_ours
        from database.audit import AuditReader
        from database.migrations import migrate

        self.noop, self.stamp = actors_ours.noop, actors_ours.stamp
        self._queue = actors_ours.QUEUE
        self._app = actors_ours.app
        self._server = redis.Redis.from_url(os.environ["REDIS_URL"])
        migrate(self._app.engine())
        self._audit = AuditReader(self._app.engine())
        self._rows_before = 0
        #: How long, in seconds, the last audit row came after the end of a drain; the worst of all drains.
        self.audit_lag_s = 0.0

    def clear(self) -> None:
        self._server.flushdb()
        self._rows_before = self._audit.count_executions()

    def fill(self, jobs: int) -> None:
        for start in range(0, jobs, 1000):
            numbers = range(start, min(jobs, start + 1000))
            self._app.broker.enqueue_many([self.noop.message(number, TEXT) for number in numbers])

    def pending(self) -> int:
        (stats,) = self._app.store.stats([self._queue])
        return stats.waiting + stats.delayed + stats.active

    def verify(self, jobs: int) -> None:
        began = time.monotonic()
        while (rows := self._audit.count_executions() - self._rows_before) != jobs:
            if rows > jobs or time.monotonic() - began > AUDIT_TIMEOUT_S:
                raise SideFailed(f"ours ran {jobs:,} jobs but has {rows:,} audit rows for them.")
            time.sleep(0.02)
        self.audit_lag_s = max(self.audit_lag_s, time.monotonic() - began)


class Stock:
    """Dramatiq's RedisBroker as its documentation starts it: no argument but the URL."""

    name = "stock"
    module = "benchmarks.actors_stock"

    def __init__(self) -> None:
        from benchmarks import actors_stock

        self.noop, self.stamp = actors_stock.noop, actors_stock.stamp
        self._server = redis.Redis.from_url(os.environ[actors_stock.STOCK_URL])
        namespace, queue = actors_stock.broker.namespace, actors_stock.QUEUE
        # A message stays in this hash from enqueue to acknowledgement.
        self._messages = f"{namespace}:{queue}.msgs"

    def clear(self) -> None:
        self._server.flushdb()

    def fill(self, jobs: int) -> None:
        for number in range(jobs):  # it has no batch
            self.noop.send(number, TEXT)

    def pending(self) -> int:
        return int(self._server.hlen(self._messages))

    def verify(self, jobs: int) -> None:
        """Nothing: it writes no audit."""
