"""How long a tenant's single job waits behind others' 100,000, in job times: one worker thread, jobs of 5 ms.

Three floods: of one tenant; of 1,000 tenants with 100 jobs each, where each probe is of a tenant never seen;
of one tenant at priority 1, probed at priority 5, in a queue where tenants take turns before priorities.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dramatiq

from benchmarks.measurement import Measurement, Reading, Round, Target, percentile
from benchmarks.probing import BOOT, await_stamp
from benchmarks.sides import TEXT, Side, only_ours, send_all
from benchmarks.stamps import Stamps
from benchmarks.workers import Workers

JOBS, TENANTS = 100_000, 1_000
#: A shorter flood would be over before the last probe.
LEAST_JOBS = 500
PROBES = 100
#: Between a probe's start and the next probe, in seconds, so that these come at any time within a job.
PAUSE_S = (0.005, 0.025)


@dataclass(frozen=True, slots=True)
class Flood:
    """`toil` is what floods, `knock` what probes; one tenant or many, each probe of a new one or not."""

    name: str
    toil: "dramatiq.Actor[..., Any]"
    knock: "dramatiq.Actor[..., Any]"
    tenants: int = 1
    new_tenants: bool = False
    priority: int | None = None

    def messages(self, jobs: int, tenants: int) -> "Iterator[dramatiq.Message[Any]]":
        for number in range(jobs):
            yield self.toil.message_with_options(
                args=(number, TEXT), tenant_id=f"flood-{number % tenants}", priority=self.priority
            )

    def probe(self, number: int) -> None:
        tenant = f"probe-{number}" if self.new_tenants else "probe"
        self.knock.send_with_options(args=(number, TEXT), tenant_id=tenant)


def measure(side: Side, turn: Round) -> Reading:
    """The worst of the three floods' 99th percentiles."""
    parts = {flood.name: _wait(side, turn, flood) for flood in _floods()}
    return Reading(max(parts.values()), parts)


def _floods() -> tuple[Flood, ...]:
    from benchmarks import actors_tenants as actors

    return (
        Flood("one flood", actors.toil, actors.knock),
        Flood("1,000 tenants", actors.toil, actors.knock, tenants=TENANTS, new_tenants=True),
        Flood("priority 1, tenants first", actors.toil_lanes_first, actors.knock_lanes_first, priority=1),
    )


def _wait(side: Side, turn: Round, flood: Flood) -> float:
    """The 99th percentile from before `send()` to the start, in times of a job."""
    from benchmarks.actors_tenants import JOB_S, app

    ours = only_ours(side)
    draws = turn.draws()
    waits = []
    ours.clear()
    # As a worker does when it starts: the scope of priorities is decided when a job comes in.
    app.store.configure({flood.toil.queue_name: app.rules_of(flood.toil.queue_name)}, {})
    tenants = turn.scaled(flood.tenants) if flood.tenants > 1 else 1
    send_all(app.broker, flood.messages(turn.scaled(JOBS, LEAST_JOBS), tenants))
    module = "benchmarks.actors_tenants"
    with (
        Stamps(turn.home / "stamps.sock") as stamps,
        Workers(side, 1, turn.home, threads=1, module=module) as workers,
    ):
        flood.probe(BOOT)
        await_stamp(workers, stamps)
        for number in range(turn.scaled(PROBES)):
            time.sleep(draws.uniform(*PAUSE_S))
            sent = time.monotonic_ns()
            flood.probe(number)
            waits.append((await_stamp(workers, stamps).started - sent) / 1e9 / JOB_S)
    ours.clear()
    return percentile(waits, 99)


FAIRNESS = Measurement(
    "fairness_job_times",
    "jobs",
    False,
    Target(most=3),
    measure,
    without_stock="stock knows no tenants: the job would wait for all that came before",
    rounds=1,
)
