"""Queues: counts of each, and whether they are well."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from control.service.names import declared_queues, one_queue, operated_queues
from control.service.operator_views import LaneView
from control.service.views import QueueHealth, QueueMetrics, QueuesHealth, StoreHealth
from control.service.workers import worker_views
from jobs.errors import StoreUnavailable
from jobs.model import LaneStats, QueueStats, WorkerInfo
from jobs.rules import numbers_of

if TYPE_CHECKING:
    from actors.composition import App


# The alert thresholds and service levels of CATALOGUE section 3.
TOO_MANY_WAITING, TOO_MANY_FAILED, TOO_OLD_MS = 1_000, 100, 30_000
LANE_LIMIT = 1_000


class QueueService:
    def __init__(self, app: "App") -> None:
        self._app = app

    def metrics(self, name: str) -> QueueMetrics:
        """Counts of one queue, or the sum over the queues behind a document's name.

        Raises UnknownQueue, StoreUnavailable.
        """
        queues = operated_queues(self._app, name)
        store = self._app.store
        at_once = self._at_once(queues)
        return self._metrics(_sum(name, store.stats(queues)), queues, store.workers(), at_once)

    def all_metrics(self) -> list[QueueMetrics]:
        """Counts of every queue of this installation. Raises StoreUnavailable."""
        store, queues = self._app.store, declared_queues(self._app)
        workers, at_once = store.workers(), self._at_once(queues)
        return [self._metrics(one, [one.queue], workers, at_once) for one in store.stats(queues)]

    def lanes(self, name: str, tenants: Sequence[str] | None = None, limit: int = 100) -> list[LaneView]:
        """Counts of these tenants' lanes in one queue.

        Without names those of up to `limit` tenants that have work, and of those that are paused or have
        other rules than the settings say.

        Raises UnknownQueue, StoreUnavailable, and ValueError for a limit beyond 1,000.
        """
        if not 1 <= limit <= LANE_LIMIT:
            raise ValueError(f"the limit must be 1 to {LANE_LIMIT:,}")
        queue, store = one_queue(self._app, name), self._app.store
        found = store.lanes(queue, tenants, limit)
        if tenants is None:
            known = {one.lane for one in found}
            adjusted = {scope.lane for scope in store.adjustments() if scope.queue == queue}
            found += store.lanes(queue, sorted(lane for lane in adjusted - known if lane is not None), limit)
        return [_lane(one) for one in found]

    def health(self) -> QueuesHealth:
        """The whole board at a glance. It never raises StoreUnavailable: it reports it."""
        store, began = self._app.store, time.perf_counter()
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

    def _metrics(
        self,
        stats: QueueStats,
        queues: Sequence[str],
        workers: Sequence[WorkerInfo],
        at_once: Mapping[str, int],
    ) -> QueueMetrics:
        counts = {
            field.name: getattr(stats, field.name)
            for field in fields(QueueStats)
            if field.name in QueueMetrics.model_fields
        }
        return QueueMetrics(
            **counts,
            total=stats.waiting + stats.active + stats.delayed + stats.blocked,
            worker_count=sum(not set(queues).isdisjoint(worker.queues) for worker in workers),
            available=max(0, self._capacity(queues, workers, at_once) - stats.active),
        )

    def _at_once(self, queues: Sequence[str]) -> dict[str, int]:
        """How many jobs of each queue one worker process may run at once, as it holds now."""
        adjusted = self._app.store.process_rules(queues)
        return {queue: numbers_of(self._app.rules_of(queue), adjusted.get(queue, {}))[0] for queue in queues}

    def _capacity(
        self, queues: Sequence[str], workers: Sequence[WorkerInfo], at_once: Mapping[str, int]
    ) -> int:
        """Jobs of these queues that the living workers could run at once, by threads and policies."""
        policies = {queue: self._app.settings.policy(queue) for queue in queues}
        capacity = 0
        for worker in workers:
            served = [at_once[queue] for queue in queues if queue in worker.queues]
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
        delayed=stats.delayed,
        resting=stats.resting,
        failed=stats.failed,
        paused=stats.paused,
        worker_count=workers,
    )


def _lane(stats: LaneStats) -> LaneView:
    counts = {
        field.name: getattr(stats, field.name)
        for field in fields(LaneStats)
        if field.name in LaneView.model_fields
    }
    return LaneView(**counts, tenant_id=stats.lane or None)


def _sum(name: str, rows: Sequence[QueueStats]) -> QueueStats:
    """One row for a name that stands for several queues; paused only when all of them are."""
    if len(rows) == 1:
        return rows[0]
    oldest = [row.oldest_waiting_ms for row in rows if row.oldest_waiting_ms is not None]
    counts = {
        field.name: sum(getattr(row, field.name) for row in rows)
        for field in fields(QueueStats)
        if field.type in (int, "int", float, "float")
    }
    return QueueStats(
        queue=name,
        **counts,
        oldest_waiting_ms=max(oldest, default=None),
        paused=all(row.paused for row in rows),
    )
