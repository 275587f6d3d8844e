"""What the maintenance actors do; the command line does some of it as an operator's act.

Each gives after every chunk what it has done so far, and can be closed there.
"""

import time
from collections.abc import Generator, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from jobs.blobs import Swept, sweep

if TYPE_CHECKING:
    from actors.composition import App

#: Who removed rows of the audit, in the chain of what operators did.
SCHEDULE = "schedule"
JOBS_CHUNK = 1_000
CACHE_CHUNK = 1_000
LEASES_CHUNK = 100


class OldRows(NamedTuple):
    """How many rows were removed so far."""

    attempts: int = 0
    actions: int = 0
    deliveries: int = 0
    syncs: int = 0

    @property
    def rows(self) -> int:
        return sum(self)


def clean_audit(app: "App") -> Generator[OldRows, None, None]:
    """Remove what operators did, and attempts, that are older than the settings keep them. The removal is
    itself an act in the chain, of `schedule`. Raises DatabaseUnavailable and DatabaseOutdated; what a chunk
    removed stays removed."""
    from database.acts import acting
    from database.audit_retention import AuditRetention
    from database.operator_actions import Act

    audit, engine, keys = app.settings.audit, app.engine(), app.chain_keys()
    age = timedelta(milliseconds=audit.retention)
    act = Act(SCHEDULE, "audit.clean", parameters={"older_than_days": round(age / timedelta(days=1), 3)})
    retention, done = AuditRetention(engine, keys), OldRows()
    with acting(engine, keys, act) as deed:
        for removed in retention.executions(age):
            done = done._replace(attempts=done.attempts + removed)
            deed.count = done.rows
            yield done
        for removed in retention.operators(timedelta(milliseconds=audit.operators_retention)):
            done = done._replace(actions=done.actions + removed)
            deed.count = done.rows
            yield done


def clean_histories(app: "App") -> Generator[OldRows, None, None]:
    """Remove deliveries of webhooks and syncs of mailboxes that are older than attempts are kept."""
    from database.history_retention import HistoryRetention

    age, done = timedelta(milliseconds=app.settings.audit.retention), OldRows()
    retention = HistoryRetention(app.engine())
    for removed in retention.deliveries(age):
        done = done._replace(deliveries=done.deliveries + removed)
        yield done
    for removed in retention.syncs(age):
        done = done._replace(syncs=done.syncs + removed)
        yield done


def clean_ticks(app: "App") -> Generator[int, None, None]:
    """Remove the oldest ticks of each schedule's history."""
    from database.schedule_history import ScheduleHistory

    yield from _totals(ScheduleHistory(app.engine()).trim())


def trim_jobs(app: "App") -> Generator[int, None, None]:
    """Remove settled jobs past their queue's age or count, of every queue that has a policy or an actor. A
    worker does this by itself for the shards that it serves."""
    queues = sorted({*app.settings.queues, *app.broker.get_declared_queues()})
    retention = {queue: app.rules_of(queue).retention for queue in queues}
    yield from _totals(iter(lambda: app.store.trim(retention, JOBS_CHUNK), 0))


def clear_cache(app: "App", actor: str = "") -> Generator[int, None, None]:
    """Forget the results that answer for later jobs, of one actor or of all. Raises UnknownActor."""
    from broker.result_cache import prefix_of

    if actor:
        app.contract(actor)
    prefix = prefix_of(actor) if actor else ""
    yield from _totals(iter(lambda: app.store.clear_cache(prefix, CACHE_CHUNK), 0))


def reclaim_leases(app: "App") -> Generator[int, None, None]:
    """Take back the jobs of workers whose lease ran out, in every shard."""
    most, total = app.settings.workers.max_lost_leases, 0
    for _, shard in sorted(app.store.shards.items()):
        while taken := shard.reclaim(most, LEASES_CHUNK):
            total += taken
            yield total


def sweep_blobs(app: "App") -> Generator[Swept, None, None]:
    """Remove blobs whose job is gone. Raises the errors of the blob
    store, and StoreUnavailable: while the job store cannot be asked nothing is removed."""
    store, young_ms = app.store, app.settings.blobs.young_ms
    now_ms = time.time_ns() // 1_000_000
    yield from sweep(app.blobs(), lambda job_id: store.get(job_id) is not None, now_ms, young_ms)


def _totals(chunks: Iterable[int]) -> Iterator[int]:
    total = 0
    for chunk in chunks:
        total += chunk
        yield total
