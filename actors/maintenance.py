"""The house's own upkeep, on the schedules that come with it (CATALOGUE section 2, queue group "scheduled").

Each may run at any time, also twice: it removes what is too old by then, and what it has removed is gone.
"""

from collections.abc import Generator
from contextlib import closing
from typing import TypeVar

from actors import app
from actors.declare import actor
from actors.upkeep import (
    OldRows,
    clean_audit,
    clean_histories,
    clean_ticks,
    clear_cache,
    reclaim_leases,
    sweep_blobs,
    trim_jobs,
)
from jobs.blobs import Swept
from middleware.cancellation import check_cancelled
from middleware.progress import progress
from middleware.steps import step

T = TypeVar("T")


@actor
def maintenance_logs() -> dict[str, int]:
    """Remove what is kept no longer: rows of the audit and of the other histories, settled jobs in Redis, and
    blobs whose job is gone. A step each, so that a second attempt goes on where the first ended.

    Returns how many of each were removed.
    """
    counts: dict[str, int] = {}
    for number, (name, stage) in enumerate(STAGES.items()):
        progress(number, len(STAGES), message=name)
        counts |= step(name, stage)
    progress(100, message=f"{sum(counts.values()):,} removed")
    return counts


@actor
def maintenance_locks() -> dict[str, int]:
    """Free what dead processes still hold: take back the jobs of workers whose lease ran out, and forget
    unique keys, permits and groups whose time is over.

    Workers do both by themselves every few seconds, but only for the shards that they serve; this does it for
    all shards. Locks of the scheduler and of the database end by themselves. Returns how many jobs came back.
    """
    progress(0, message="leases")
    reclaimed = _all(0, reclaim_leases(app))
    progress(60, message="expired keys")
    app.store.trim({})
    progress(100, message=f"{reclaimed:,} jobs taken back")
    return {"reclaimed": reclaimed}


@actor
def maintenance_database() -> dict[str, int]:
    """Renew the figures by which the database plans its queries, and give back empty room.

    On SQLite writers wait while a file that is a quarter empty is written anew. Returns the number of
    tables, the bytes of the database, and how many fewer they are.
    """
    from database.upkeep import analyze

    progress(0, message="analyzing")
    done = analyze(app.engine())
    progress(100, message=f"{done.tables} tables, {done.freed:,} bytes freed")
    return done._asdict()


@actor
def maintenance_cache(actor: str = "") -> dict[str, int]:
    """Forget the results of completed jobs that answer for later ones with `cache`, of one actor or of all:
    the next jobs run. What is over by its own time is not used in any case, and goes as others come.

    Its schedule is off. Returns how many results were forgotten. Raises UnknownActor.
    """
    progress(0, message="cached results")
    cleared = _all(0, clear_cache(app, actor))
    progress(100, message=f"{cleared:,} forgotten")
    return {"cleared": cleared}


def _audit() -> dict[str, int]:
    done = _all(OldRows(), clean_audit(app))
    return {"attempts": done.attempts, "actions": done.actions}


def _histories() -> dict[str, int]:
    done = _all(OldRows(), clean_histories(app))
    return {"deliveries": done.deliveries, "syncs": done.syncs}


def _ticks() -> dict[str, int]:
    return {"ticks": _all(0, clean_ticks(app))}


def _jobs() -> dict[str, int]:
    return {"jobs": _all(0, trim_jobs(app))}


def _blobs() -> dict[str, int]:
    return {"blobs": _all(Swept(), sweep_blobs(app)).removed}


def _all(done: T, chunks: Generator[T, None, None]) -> T:
    """What was done after the last chunk; after each the job can be cancelled."""
    with closing(chunks):
        for so_far in chunks:
            done = so_far
            check_cancelled()
    return done


STAGES = {"audit": _audit, "histories": _histories, "ticks": _ticks, "jobs": _jobs, "blobs": _blobs}
