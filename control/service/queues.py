"""Queues: counts of each, and whether they are well."""

import time
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from control.service.names import declared_queues, find_queues
from control.service.views import QueueHealth, QueueMetrics, QueuesHealth, StoreHealth
from control.service.workers import worker_views
from jobs.errors import StoreUnavailable
from jobs.model import QueueStats, WorkerInfo

if TYPE_CHECKING:
    from actors.composition import App


# The alert thresholds and service levels of CATALOGUE section 3.
TOO_MANY_WAITING, TOO_MANY_FAILED, TOO_OLD_MS = 1_000, 100, 30_000


class QueueService:
    def __init__(self, app: "App") -> None:
        self._app = app

    def metrics(self, name: str) -> QueueMetrics:
        """Counts of one queue, or the sum over the queues behind a document's name.

        Raises UnknownQueue, StoreUnavailable.
        """
        queues = find_queues(self._app, name)
        store = self._app.broker.store
        stats, workers = _sum(name, store.stats(queues)), store.workers()
        counts = {
            field.name: getattr(stats, field.name)
            for field in fields(QueueStats)
            if field.name in QueueMetrics.model_fields
        }
        return QueueMetrics(
            **counts,
            total=stats.waiting + stats.active + stats.delayed + stats.blocked,
            worker_count=sum(not set(queues).isdisjoint(worker.queues) for worker in workers),
            available=max(0, self._capacity(queues, workers) - stats.active),
        )

    def health(self) -> QueuesHealth:
        """The whole board at a glance. It never raises StoreUnavailable: it reports it."""
        store, began = self._app.broker.store, time.perf_counter()
        try:
            store.ping()
            latency = (time.perf_counter() - began) * 1000
            stats, workers = store.stats(declared_queues(self._app)), store.workers()
        except StoreUnavailable as error:
            away = StoreHealth(connected=False, message=str(error))
            return QueuesHealth(status="down", store=away, workers=[], queues=[])
        queues = [_health(one, sum(one.queue in worker.queues for worker in workers)) for one in stats]
        well = workers and all(queue.status == "ok" for queue in queues)
        return QueuesHealth(
            status="ok" if well else "degraded",
            store=StoreHealth(connected=True, latency_ms=round(latency, 2)),
            workers=worker_views(workers),
            queues=queues,
        )

    def _capacity(self, queues: Sequence[str], workers: Sequence[WorkerInfo]) -> int:
        """Jobs of these queues that the living workers could run at once, by threads and policies."""
        policies = {queue: self._app.settings.policy(queue) for queue in queues}
        capacity = 0
        for worker in workers:
            served = [policies[queue].concurrency for queue in queues if queue in worker.queues]
            capacity += min(worker.threads, sum(served))
        caps = [policy.effective_global_concurrency for policy in policies.values()]
        whole = [cap for cap in caps if cap is not None]
        return min(capacity, sum(whole)) if len(whole) == len(caps) else capacity


def _health(stats: QueueStats, workers: int) -> QueueHealth:
    oldest = stats.oldest_waiting_ms or 0
    checks = (
        (stats.waiting + stats.delayed > 0 and workers == 0, "no worker takes its jobs"),
        (stats.waiting > TOO_MANY_WAITING, f"{stats.waiting:,} jobs wait"),
        (oldest > TOO_OLD_MS, f"the oldest job has waited for {oldest // 1000:,} s"),
        (stats.failed > TOO_MANY_FAILED, f"{stats.failed:,} jobs have failed"),
        (stats.paused, "it is paused"),
    )
    reasons = [reason for applies, reason in checks if applies]
    return QueueHealth(
        name=stats.queue,
        status="degraded" if reasons else "ok",
        reasons=reasons,
        waiting=stats.waiting,
        active=stats.active,
        failed=stats.failed,
        worker_count=workers,
    )


def _sum(name: str, rows: Sequence[QueueStats]) -> QueueStats:
    """One row for a name that stands for several queues; paused only when all of them are."""
    if len(rows) == 1:
        return rows[0]
    oldest = [row.oldest_waiting_ms for row in rows if row.oldest_waiting_ms is not None]
    counts = {
        field.name: sum(getattr(row, field.name) for row in rows)
        for field in fields(QueueStats)
        if field.type is int or field.type == "int"
    }
    return QueueStats(
        queue=name,
        **counts,
        oldest_waiting_ms=max(oldest, default=None),
        paused=all(row.paused for row in rows),
    )
