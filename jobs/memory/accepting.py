"""How a job comes in: from a producer, or with the verdict of another one."""

from collections.abc import Sequence

from jobs.memory import operators
from jobs.memory.forms import new_job
from jobs.memory.shelf import Record
from jobs.memory.state import State
from jobs.model import Accepted, NewJob, UniqueMode
from jobs.states import JobState

NEWEST_WINS = (UniqueMode.DEBOUNCE, UniqueMode.LATEST)


def accept(state: State, new: NewJob, index: int) -> Accepted:
    """`index` is the job's number in its call."""
    place = state.next_place(index)
    if state.shelf.known(new.id, state.now):
        return Accepted(new.id, created=False)
    replaced = None
    if new.unique is not None and (holder := state.unique.holder(new, state.now)) is not None:
        if new.unique.mode not in NEWEST_WINS:
            return Accepted(holder, created=False)
        replaced = _make_way(state, holder)
    state.unique.take(new, state.now)
    record = Record(new_job(new, state.now), new, place, new.dead_letter)
    state.shelf.add(record)
    if record.job.state is JobState.WAITING:
        state.line_up(record)
    return Accepted(new.id, created=True, replaced=replaced)


def follow(state: State, jobs: Sequence[NewJob], first: int) -> None:
    """Jobs that come with a verdict: their queues have work."""
    for index, new in enumerate(jobs, start=first):
        if accept(state, new, index).created and (_delayed(state, new) or new.queue in state.ready):
            state.followed[new.queue] = None


def _delayed(state: State, new: NewJob) -> bool:
    record = state.shelf.get(new.id)
    return record is not None and record.job.state is JobState.DELAYED


def _make_way(state: State, job_id: str) -> str | None:
    """The newest of one unique name wins: the job that has not started yet leaves."""
    record = state.shelf.get(job_id)
    if record is None or record.suspect or record.job.state not in operators.UNSTARTED:
        return None
    state.remove(record)
    return job_id
