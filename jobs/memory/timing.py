"""What time alone changes: delayed jobs that fall due, rests that are over; and who looks at it."""

from collections.abc import Callable, Iterator
from functools import partial

from jobs.memory.state import State, Watch

#: A process that found nothing is taken for idle so long, and one that watches the timers trusted.
IDLE_MS = 5_000
#: Whoever handed back what it does not know lets others look first, so long, until so long after it is due.
COURTESY_MS, STRANGER_MS = 250, 1_000


def look_at_the_clock(state: State) -> set[str]:
    """Delayed jobs that are due and rests that are over; returns the queues that have news."""
    now, touched = state.now, set[str]()
    for record in state.shelf.take_due(now):
        due = record.job.due_at or 0
        state.to_waiting(record, due * 1000, due)
        touched.add(record.job.queue)
    # In the order of their times and names, which decides whose turn among the gates of a lane comes first.
    for _, _, queue, end in sorted(_over(state), key=lambda timer: timer[:2]):
        end()
        touched.add(queue)
    return touched


def _over(state: State) -> Iterator[tuple[int, str, str, Callable[[], object]]]:
    """The rests that are over: since when, a name to put them in order, their queue, what ends them."""
    now = state.now
    for job_id, until in state.held.items():
        if until <= now and (held := state.shelf.get(job_id)) is not None:
            queue = held.job.queue
            yield until, f"J{queue}\x1f{job_id}", queue, partial(state.stop_holding, held)
    for key, until in state.lines.rest_over(now):
        yield until, f"L{key.text}", key.queue, partial(state.wake_line, key)
    for queue, until in state.queue_timers.items():
        if until <= now:
            yield until, f"Q{queue}", queue, partial(state.end_of_rate, queue)
    for scope, until in state.limits.rests_over(now):
        names = [name for name in scope if name is not None]
        yield until, "S" + "\x1f".join(names), scope.queue, partial(state.ring_rest, scope)


def soonest(state: State) -> tuple[int, str] | None:
    """When time alone changes something, and in which queue."""
    timers = [(until, "J", _queue_of(state, job_id)) for job_id, until in state.held.items()]
    timers += [(until, "L", queue) for until, queue in state.lines.timers()]
    timers += [(until, "Q", queue) for queue, until in state.queue_timers.items()]
    timers += [(rest.rings_at, "S", scope.queue) for scope, rest in state.limits.rests.items()]
    due, timer = state.shelf.next_due(), min(timers, default=None)
    if timer is not None and (due is None or timer[0] < due[0]):
        return timer[0], timer[2]
    return due


def _queue_of(state: State, job_id: str) -> str:
    record = state.shelf.get(job_id)
    return record.job.queue if record else ""


def share_the_watch(state: State, owner: str, left: int) -> tuple[int | None, str | None]:
    """One process watches the timers, so that not all wake at once; the others trust it for a while.
    Returns when this one shall look again, and a queue to wake another for when it cannot watch on."""
    now, watch, due = state.now, state.workers.watch, soonest(state)
    if due is None:
        return None, None
    if left > 0:
        if watch.stranger == owner and watch.stranger_until > now:
            return due[0] + COURTESY_MS, None
        if watch.owner != owner and watch.until > now and watch.due <= due[0]:
            return due[0] + IDLE_MS, None
        state.workers.watch = Watch(owner, now + IDLE_MS, due[0])
    elif watch.owner == owner:
        # It has no thread left to start a job with: whoever takes the offer watches.
        state.workers.watch = Watch()
        return due
    return due[0], None


def pass_on_the_watch(state: State, owner: str, due: int) -> None:
    """Whoever hands back what it does not know must not watch for it: others would never meet it."""
    if state.workers.watch.owner in ("", owner):
        state.workers.watch = Watch(stranger=owner, stranger_until=due + STRANGER_MS)
