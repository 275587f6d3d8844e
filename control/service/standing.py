"""Why a job is where it is, in sentences: what `JobStore.standing` knows, and what the workers say."""

from collections.abc import Iterator, Sequence

from control.service.operator_views import WhyView
from control.service.reading import failed_reason
from control.service.views import moment
from jobs.ids import UNIQUE_GATE
from jobs.model import LAST_TIME, Job, Standing, WorkerInfo
from jobs.states import JobState


def why_view(standing: Standing, workers: Sequence[WorkerInfo]) -> WhyView:
    """The reasons that a person may see. `workers` are those alive."""
    job = standing.job
    return WhyView(
        id=job.id,
        queue=job.queue,
        state=job.state,
        tenant_id=job.lane or None,
        reasons=list(_reasons(standing, workers)),
        before_in_lane=standing.before_in_lane,
        waiting_in_queue=standing.waiting_in_queue,
    )


def _reasons(standing: Standing, workers: Sequence[WorkerInfo]) -> Iterator[str]:
    job = standing.job
    if job.state.settled:
        yield _end(job)
    elif job.state is JobState.ACTIVE:
        yield _run(job, workers)
        if job.cancel_requested:
            yield "Its cancellation was asked for, and its worker was told."
    else:
        told = [*_time(job), *_pauses(standing), *_rest(standing), *_caps(standing), *_workers(job, workers)]
        yield from told
        yield from _line(standing)
        if not told and not standing.before_in_lane:
            yield "Nothing holds it back: the next free thread of a worker starts it."


def _end(job: Job) -> str:
    when = _at(job.finished_at)
    reason = failed_reason(job)
    because = f": {reason.rstrip('.')}" if reason else ""
    if job.state is JobState.COMPLETED:
        return f"It completed {when}."
    if job.state is JobState.CANCELLED:
        return f"It was cancelled {when}{because}."
    letter = f"; its dead letter is in {job.dead_letter}" if job.dead_letter else ""
    return f"It failed for good {when} after {_many(job.attempts, 'attempt')}{letter}{because}."


def _run(job: Job, workers: Sequence[WorkerInfo]) -> str:
    found = next((worker for worker in workers if worker.owner == job.owner), None)
    if found is None:
        where = f"{job.owner}, whose lease has run out: another will take it over"
    else:
        where = f"{found.name or found.owner} (host {found.host}, process {found.pid})"
    return f"It runs since {_at(job.started_at)}, attempt {job.attempts} of {job.max_attempts}, on {where}."


def _time(job: Job) -> Iterator[str]:
    if job.state is JobState.DELAYED:
        yield f"It is delayed until {_at(job.due_at)}."
    if job.state is JobState.BLOCKED:
        yield "It needs other jobs to be completed first."


def _pauses(standing: Standing) -> Iterator[str]:
    job = standing.job
    if standing.queue_paused:
        yield f"The queue {job.queue} is paused."
    if standing.lane_paused:
        yield f"{_tenant(job)} is paused in {job.queue}."


def _rest(standing: Standing) -> Iterator[str]:
    until, job = standing.rests_until, standing.job
    if until is None:
        return
    what = {
        "job": "It is held by itself",
        "gate": f"{_gate(job)} rests",
        "lane": f"{_tenant(job)} rests in {job.queue}",
        "queue": f"The queue {job.queue} rests",
        "rate": f"The rate of {job.queue} or of {_tenant(job)} is used up, so it rests",
        "place": "The free place is kept for a job that lost its worker, so it rests",
    }.get(standing.rest_scope, "It rests")
    end = "a place is free" if until >= LAST_TIME else _at(until)
    yield f"{what} until {end}" + (
        f", because {standing.rest_reason.rstrip('.')}." if standing.rest_reason else "."
    )


def _caps(standing: Standing) -> Iterator[str]:
    job = standing.job
    for cap, what in (
        (standing.queue_cap, f"The queue {job.queue} runs"),
        (standing.share_cap, f"The queues that share their limits with {job.queue} run"),
        (standing.lane_cap, f"{_tenant(job)} runs in {job.queue}"),
        (standing.gate_cap, f"{_gate(job)} runs"),
    ):
        if cap is not None and cap[0] >= cap[1]:
            yield f"{what} {cap[0]:,} of at most {_many(cap[1], 'job')}."
    if standing.suspect:
        lost = _many(job.lost_leases, "worker")
        yield f"It lost {lost} while it ran, so it waits for a process that runs nothing beside it."


def _workers(job: Job, workers: Sequence[WorkerInfo]) -> Iterator[str]:
    serving = [worker for worker in workers if job.queue in worker.queues]
    able = [worker for worker in serving if not worker.actors or job.actor in worker.actors]
    if not serving:
        yield f"No living worker serves the queue {job.queue}."
    elif not able:
        yield f"No living worker of the queue {job.queue} knows the actor {job.actor}."
    elif all(worker.running >= worker.threads for worker in able):
        threads = _many(sum(worker.threads for worker in able), "thread")
        yield f"Its workers are busy: {threads} of {_many(len(able), 'process', 'es')}."


def _line(standing: Standing) -> Iterator[str]:
    job, before = standing.job, standing.before_in_lane
    if job.state is JobState.WAITING and before:
        whose = f"of {_tenant(job, first=False)}" if job.lane else "before it"
        yield (
            f"{_many(before, 'job')} {whose} {'goes' if before == 1 else 'go'} first; "
            f"{_many(standing.waiting_in_queue, 'job')} wait in {job.queue}."
        )


def _tenant(job: Job, *, first: bool = True) -> str:
    article = "The" if first else "the"
    return f"{article} tenant {job.lane}" if job.lane else f"{article} lane without a tenant"


def _gate(job: Job) -> str:
    if job.gate.startswith(UNIQUE_GATE):
        return "The gate of the jobs with its unique key"
    return f"The gate {job.gate} of {_tenant(job, first=False)}"


def _at(ms: int | None) -> str:
    when = moment(ms)
    return when.strftime("%Y-%m-%d %H:%M:%S UTC") if when else "at an unknown time"


def _many(number: int, thing: str, plural: str = "s") -> str:
    return f"{number:,} {thing}{'' if number == 1 else plural}"
