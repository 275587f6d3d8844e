"""Jobs: add, get, list, follow."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import dramatiq

from broker.sent import SAME_KEY, SentMessage
from control.service.job_logs import attempt_logs
from control.service.job_steps import steps_view
from control.service.limit_actions import reasons_of_providers
from control.service.names import find_actor, find_queues, letter_queues, python_names
from control.service.new_job import JobOptions, NewJobRequest, UniqueOption
from control.service.operator_views import WhyView
from control.service.reading import job_view, progress_view
from control.service.removals import span_words
from control.service.standing import why_view
from control.service.views import AttemptLogView, JobView, LogLineView, ProgressView, StepsView
from jobs.errors import InvalidPayload, JobIdTaken, JobNotFound
from jobs.ids import SCOPE, check_stored_id
from jobs.model import DEFAULT_ATTEMPTS, DEFAULT_PRIORITY, Job
from jobs.states import JobState

if TYPE_CHECKING:
    from actors.composition import App


LIST_LIMIT = 1_000
_MADE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LOGS_QUIET = 1.0  # seconds without a line after the end of a job: its last ones are written by then
LOOK_EVERY = 0.2  # seconds: progress is visible within 200 ms (CATALOGUE section 1)


class Added(NamedTuple):
    """The job that is there. `created` is False when it was there before, by its id or its unique key;
    `replaced` is the job whose place it took."""

    job: JobView
    created: bool
    replaced: str | None


class JobService:
    """What can be done with jobs, over whatever store the app has."""

    def __init__(self, app: "App") -> None:
        self._app = app

    def add(self, request: NewJobRequest) -> Added:
        """Accept a job. What comes back is the job that is there now.

        JobIdTaken: the id is that of another actor's or tenant's job, or of one that has left the store,
        which remembers it; or its unique key is held by one that has left.

        Raises UnknownActor, UnknownQueue, InvalidPayload, JobIdTaken, PayloadTooLarge, StoreUnavailable,
        StoreFull.
        """
        app, options = self._app, request.options
        actor = find_actor(app, request.queue, request.name)
        kwargs = app.validate(actor.actor_name, python_names(app.schema(actor.actor_name), request.data))
        sent = actor.send_with_options(kwargs=kwargs, delay=options.delay, **_send_options(options))
        assert isinstance(sent, SentMessage)
        job = app.store.get(sent.message_id)
        if sent.created:
            # None there: a quick worker has finished and removed it.
            return Added(job_view(app, job or _as_accepted(sent), sent), True, sent.replaced)
        if job is None:
            raise _left(sent, app.rules_of(sent.queue_name).id_memory_ms)
        return Added(job_view(app, job), False, sent.replaced)  # it has arguments of its own

    def get(self, job_id: str) -> JobView:
        """One job. Raises JobNotFound."""
        return job_view(self._app, self._stored(job_id))

    def progress(self, job_id: str) -> ProgressView:
        """How far a job is. Raises JobNotFound."""
        return progress_view(self._stored(job_id))

    def logs(self, job_id: str) -> Sequence[AttemptLogView]:
        """What a job has logged, attempt by attempt. Raises JobNotFound."""
        return attempt_logs(self._app, self._stored(job_id))

    def steps(self, job_id: str) -> StepsView:
        """What a job keeps of its steps and effects. Raises JobNotFound and StoreUnavailable."""
        return steps_view(self._app, self._stored(job_id))

    def follow_logs(
        self, job_id: str, pause: Callable[[float], None] = time.sleep, every: float = LOOK_EVERY
    ) -> Iterator[tuple[int, LogLineView]]:
        """The lines of a job with their attempt, those there are and new ones, until it has settled and
        was silent for a second. Raises JobNotFound. `every` is in seconds."""
        seen: Counter[int] = Counter()
        quiet = 0.0
        while True:
            settled = self._stored(job_id).state.settled
            new: Sequence[tuple[int, LogLineView]] = ()
            for log in self.logs(job_id):
                new = [
                    *new,
                    *((log.attempt, line) for line in log.lines[max(0, seen[log.attempt] - log.dropped) :]),
                ]
                seen[log.attempt] = log.dropped + len(log.lines)
            yield from new
            quiet = 0.0 if new else quiet + every
            if settled and quiet >= LOGS_QUIET:
                return
            pause(every)

    def list(self, queue: str, state: JobState, limit: int = 50, offset: int = 0) -> list[JobView]:
        """Jobs of a queue (or of every queue behind a document's name) in one state; of a dead-letter queue
        the failed jobs of any queue that went there.

        Raises UnknownQueue, and ValueError for a limit beyond 1,000.
        """
        if not 1 <= limit <= LIST_LIMIT or offset < 0:
            raise ValueError(f"the limit must be 1 to {LIST_LIMIT:,} and the offset 0 or more")
        store, found = self._app.store, list[Job]()
        for name in find_queues(self._app, queue):
            if state is JobState.FAILED and name in letter_queues(self._app):
                found += self._routed(name, offset + limit)
            else:
                found += store.list_jobs(name, state, offset + limit)
        return [job_view(self._app, job) for job in found[offset : offset + limit]]

    def counts(self, queue: str, states: Sequence[JobState]) -> Mapping[JobState, int]:
        """How many `list` could give of each state. Raises UnknownQueue."""
        names, letters = find_queues(self._app, queue), letter_queues(self._app)
        counted = self._app.store.stats(names)
        failed = sum(one.dead_letters if one.queue in letters else one.failed for one in counted)
        return {
            state: failed
            if state is JobState.FAILED
            else sum(getattr(one, state.value, 0) for one in counted)
            for state in states
        }

    def why(self, job_id: str) -> WhyView:
        """What stands between a job and its start, or what became of it. Raises JobNotFound."""
        standing = self._app.store.standing(_possible(job_id))
        if standing is None:
            raise _not_found(job_id)
        view = why_view(standing, self._app.store.workers())
        if standing.job.state.settled:
            return view
        actor = self._app.broker.actors.get(standing.job.actor)
        named = actor.options.get("provider") if actor is not None else None
        states = self._app.store.provider_states([str(named)]) if named else []
        return view.model_copy(update={"reasons": [*reasons_of_providers(states), *view.reasons]})

    def watch(
        self, job_id: str, pause: Callable[[float], None] = time.sleep, every: float = LOOK_EVERY
    ) -> Iterator[tuple[JobView, ProgressView]]:
        """The job now, then again after each change, until it settles. Raises JobNotFound.

        `every` is in seconds. A job that retention removes while it is watched ends the watch with
        JobNotFound.
        """
        last: tuple[JobView, ProgressView] | None = None
        while True:
            job = self._stored(job_id)
            now = job_view(self._app, job), progress_view(job)
            if now != last:
                yield now
            if job.state.settled:
                return
            last = now
            pause(every)

    def _routed(self, queue: str, limit: int) -> Sequence[Job]:
        """Failed jobs of any queue that were routed to this one."""
        found, after = list[Job](), ""
        while len(found) < limit:
            jobs, following = self._app.store.scan(
                queue, JobState.FAILED, limit - len(found), after, routed=True
            )
            found += (job for job in jobs if job.dead_letter == queue)
            if following is None:
                break
            after = following
        return found

    def _stored(self, job_id: str) -> Job:
        job = self._app.store.get(_possible(job_id))
        if job is None:
            raise _not_found(job_id)
        return self._app.broker.notes.opened(job)


def _possible(job_id: str) -> str:
    try:
        return check_stored_id(job_id)
    except InvalidPayload as error:
        raise JobNotFound(f"there is no job {job_id[:128]!r}: {error}") from None


def _not_found(job_id: str) -> JobNotFound:
    # An id of ours is the same whoever's job it is.
    hint = (
        ""
        if SCOPE in job_id or _MADE.fullmatch(job_id)
        else f"; one that a tenant gave is TENANT{SCOPE}{job_id}"
    )
    return JobNotFound(f"there is no job {job_id!r}: it was never accepted, or its retention has ended{hint}")


def _left(sent: SentMessage[Any], memory_ms: int) -> JobIdTaken:
    """Why nothing was added, when the job that was there has left the store."""
    if sent.reason == SAME_KEY:
        return JobIdTaken(
            f"nothing was added: the unique key is held by job {sent.message_id!r}, which has left the store"
        )
    queue = sent.queue_name
    return JobIdTaken(
        f"nothing was added: the id {sent.message_id!r} was used by a job that has left the store, which "
        f"remembers ids of {queue} for {span_words(memory_ms)} (queues.{queue}.id_memory_ms): give another"
    )


def _send_options(options: JobOptions) -> Mapping[str, Any]:
    """The options in the names that `send_with_options` takes; what was not given is left out."""
    given = {
        "priority": options.priority,
        "attempts": options.attempts,
        "backoff": options.backoff.model_dump(exclude_none=True) if options.backoff else None,
        "time_limit": options.timeout,
        "retry_for": options.retryFor,
        "deadline": options.deadline,
        "expires": options.expires,
        "run_at": round(options.runAt.timestamp() * 1000) if options.runAt else None,
        "gate": options.gate,
        "unique": _unique(options.unique),
        "remove_on_complete": options.removeOnComplete,
        "job_id": options.jobId,
        "tenant_id": options.tenantId,
        "user_id": options.userId,
    }
    return {name: value for name, value in given.items() if value is not None}


def _unique(given: bool | UniqueOption | None) -> bool | dict[str, Any] | None:
    return given.model_dump(exclude_none=True) if isinstance(given, UniqueOption) else given


def _as_accepted(message: dramatiq.Message[Any]) -> Job:
    options = message.options
    return Job(
        id=message.message_id,
        queue=message.queue_name,
        actor=message.actor_name,
        lane=options.get("tenant_id") or "",
        state=JobState.WAITING,
        priority=options.get("priority") or DEFAULT_PRIORITY,
        attempts=0,
        max_attempts=options.get("attempts") or DEFAULT_ATTEMPTS,
        deliveries=0,
        lost_leases=0,
        interruptions=0,
        created_at=message.message_timestamp,
        due_at=None,
        ready_at=None,
        started_at=None,
        finished_at=None,
        owner=None,
        dead_letter=None,
        gate=options.get("gate") or "",
        cancel_requested=False,
        held_until=None,
        held_reason="",
        payload=b"",
        record=None,
        progress=None,
    )
