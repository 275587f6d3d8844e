"""A replay that tries one job first, then ten, then the others, and stops when nothing was mended.

It stops at any job that fails by the cause it had before; among the first eleven also at one that fails by
another, for a mend that breaks something else is none; and among the others when more have failed than not.
What is cancelled or removed meanwhile says nothing of the mend: a stage of which nothing else has ended
begins anew, with other jobs.

A run is driven by whoever asks for it: each step starts some jobs, or looks at those that were started, and
gives a token with which the next step goes on. The token is all that a run consists of, so it outlives the
process that asked, and a run that nobody drives any more does nothing more. Each chunk is a row of the audit.
"""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson

from broker.codec import UndecodablePayload
from broker.options import removes_itself
from control.service.dead_letter_pages import FIRST, Cursor, Match, pages
from control.service.edits import Edit
from control.service.journal import acting, record
from control.service.letter_views import CanaryView
from control.service.reading import error_of
from control.service.replay import NO_EDIT, Replay, facts_of
from control.service.requests import CHUNK, DeadLetterFilter
from jobs.errors import InvalidPayload
from jobs.failures import fingerprint_of
from jobs.model import Job
from jobs.states import JobState

if TYPE_CHECKING:
    from actors.composition import App

#: Jobs of the first two stages, and of a chunk of the last, of which so many are under way at once.
SIZES, UNDER_WAY = (1, 10, 50), 100
LAST = len(SIZES) - 1
ACTION = "dead.canary"
NOT_A_RUN = "run: give the 'next' of the answer before, or leave it out to begin"
#: States of a job that was started again and has not failed since.
_ENDED = (JobState.COMPLETED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class State:
    """Where a run stands. `watched` are jobs that were started, each with the cause of its failure before."""

    total: int = 0  # dead letters that fitted at the beginning
    stage: int = 0
    left: int = SIZES[0]  # to start in this stage
    started: int = 0
    completed: int = 0
    failed_otherwise: int = 0
    newest: int = 0  # what failed later is left out: it failed anew
    queue: str = ""
    after: str = ""
    over: bool = False  # no dead letter is left that fits
    watched: Mapping[str, str] = field(default_factory=dict)
    cancelled: int = 0
    removed: int = 0
    before: int = 0  # had ended by themselves when this stage began
    leaving: Sequence[str] = ()  # of those watched: they are gone once they are completed

    @property
    def ended(self) -> int:
        """Jobs that nobody but themselves has ended."""
        return self.completed + self.failed_otherwise

    def write(self) -> str:
        """The state as a caller gets and gives it."""
        parts = [getattr(self, name) for name in self.__slots__]
        return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "State":
        """The state again. Raises InvalidPayload."""
        try:
            parts = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            state = cls(*parts)
        except (ValueError, TypeError):
            raise InvalidPayload(NOT_A_RUN) from None
        counts = (
            state.total,
            state.stage,
            state.left,
            state.started,
            state.completed,
            state.failed_otherwise,
            state.cancelled,
            state.removed,
            state.before,
        )
        words = (state.queue, state.after)
        right = (
            len(parts) == len(cls.__slots__)
            and all(type(count) is int and count >= 0 for count in counts)
            and all(isinstance(word, str) for word in words)
            and state.stage <= LAST
            and isinstance(state.newest, int)
            and isinstance(state.watched, dict)
            and all(isinstance(one, str) for pair in state.watched.items() for one in pair)
            and isinstance(state.leaving, list)
            and all(isinstance(one, str) for one in state.leaving)
        )
        if not right:
            raise InvalidPayload(NOT_A_RUN)
        return state


class Failed(NamedTuple):
    """The jobs of one look that have failed: by the cause they had before, and by another."""

    as_before: list[str]
    otherwise: list[str]


class Canary:
    """All raise UnknownQueue, InvalidPayload, StoreUnavailable, and DatabaseUnavailable before anything is
    touched. `by` is who does it."""

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by
        self._replay = Replay(app, by)

    def step(
        self, wanted: DeadLetterFilter, edit: Edit = NO_EDIT, run: str | None = None, *, go_on: bool = False
    ) -> CanaryView:
        """Begin a run by counting what fits, or go on with it: look at what was started, and start the next
        jobs when all is well. With `go_on` failures by another cause than before are only counted.

        In the first stages the next begins when all watched jobs have ended; in the last a chunk is started
        whenever there is room for one among those that are under way.
        """
        state = State.read(run) if run else self._counted(wanted)
        state, failed, running = self._look(state)
        if failed.as_before or (not go_on and _too_many(state, failed)):
            return _view(replace(state, watched=running), "stopped", failed)
        most = 0 if state.stage < LAST or state.over else UNDER_WAY - SIZES[LAST]
        if len(running) > most:
            return _view(replace(state, watched=running), "waiting", failed)
        state = self._promoted(replace(state, watched=running))
        if state.over:
            return _view(state, "done", failed)
        state, refused = self._start(wanted, edit, state, go_on)
        ended = state.over and not state.watched
        return _view(state, "done" if ended else "waiting", failed, refused)

    def _counted(self, wanted: DeadLetterFilter) -> State:
        total = newest = 0
        for page in pages(self._app.store, Match.of(self._app, wanted), FIRST, None):
            total += len(page.jobs)
            newest = max((newest, *(job.finished_at or 0 for job in page.jobs)))
        return State(total=total, newest=newest)

    def _look(self, state: State) -> tuple[State, Failed, dict[str, str]]:
        """The state with what has ended counted, the jobs that have failed, and those that still run."""
        failed, running, ends = Failed([], []), dict[str, str](), Counter[str]()
        for job_id, before in state.watched.items():
            job = self._app.store.get(job_id)
            failed_by = None if job is None else _failure_of(job)
            if failed_by == before:
                failed.as_before.append(job_id)
            elif job is None:
                ends["completed" if job_id in state.leaving else "removed"] += 1
            elif job.state in _ENDED:
                ends[job.state.value] += 1
            elif job.state is JobState.FAILED:
                failed.otherwise.append(job_id)
            else:
                running[job_id] = before
        counted = replace(
            state,
            completed=state.completed + ends["completed"],
            cancelled=state.cancelled + ends["cancelled"],
            removed=state.removed + ends["removed"],
            leaving=[job_id for job_id in state.leaving if job_id in running],
            failed_otherwise=state.failed_otherwise + len(failed.otherwise),
        )
        return counted, failed, running

    def _promoted(self, state: State) -> State:
        """The next stage, when all of this one has been started and has ended well; the same one again when
        all of it was cancelled or removed."""
        if state.stage == LAST:
            return replace(state, left=SIZES[LAST])
        if state.left > 0:
            return state
        stage = state.stage + (state.ended > state.before)
        return replace(state, stage=stage, left=SIZES[stage], before=state.ended)

    def _start(
        self, wanted: DeadLetterFilter, edit: Edit, state: State, go_on: bool
    ) -> tuple[State, Counter[str]]:
        match = Match.of(self._app, wanted, state.newest)
        refused, watched, tried, count = Counter[str](), dict(state.watched), set[str](), 0
        leaving = list(state.leaving)
        told: dict[str, Any] = {**facts_of(wanted, edit), "stage": state.stage}
        if go_on:
            told["go_on"] = True
        cursor: Cursor | None = Cursor(state.queue, state.after, state.newest)
        with acting(
            self._app, self._by, ACTION, target=wanted.queue, tenant=wanted.tenant_id, parameters=told
        ) as deed:
            while cursor is not None and count < state.left:
                page = next(pages(self._app.store, match, cursor, CHUNK))
                untried = [job for job in page.jobs if job.id not in tried]
                jobs = untried[: state.left - count]
                marks = {job.id: fingerprint_of(error_of(job)) for job in jobs}
                tried |= marks.keys()
                ids = self._replay.again(jobs, edit, refused)
                watched |= {job_id: marks[job_id] for job_id in ids}
                leaving += [job.id for job in jobs if job.id in ids and self._leaves(job)]
                count += len(ids)
                deed.count = count
                if len(jobs) == len(untried):
                    cursor = page.following  # nothing of this page is left to try
        record(self._by, ACTION, done=count, **told)
        at = cursor or FIRST
        return replace(
            state,
            left=state.left - count,
            started=state.started + count,
            watched=watched,
            leaving=leaving,
            over=cursor is None,
            queue=at.queue,
            after=at.after,
        ), refused

    def _leaves(self, job: Job) -> bool:
        """Whether a job is gone once it is completed."""
        if self._app.rules_of(job.queue).keep_completed == 0:
            return True
        try:
            options = self._app.broker.decode(job).options
        except UndecodablePayload:
            return False  # it fails, and stays
        return removes_itself(options.get("remove_on_complete"))


def _failure_of(job: Job) -> str | None:
    """The cause by which a job has failed since it was started again; None when it has not.

    A retry that waits tells it as well as a dead letter does. A lost lease leaves what was recorded before.
    """
    ran = job.attempts - (job.state is JobState.ACTIVE) - job.lost_leases
    if job.state in _ENDED or (job.state is not JobState.FAILED and ran <= 0):
        return None
    return fingerprint_of(error_of(job))


def _too_many(state: State, failed: Failed) -> bool:
    """Whether the failures by another cause end the run: one of the first stages does, later the most."""
    return bool(failed.otherwise) and (state.stage < LAST or state.failed_otherwise > state.completed)


def _view(
    state: State,
    word: Literal["waiting", "stopped", "done"],
    failed: Failed,
    refused: Counter[str] | None = None,
) -> CanaryView:
    return CanaryView(
        state=word,
        stage=state.stage,
        total=state.total,
        started=state.started,
        running=len(state.watched),
        completed=state.completed,
        cancelled=state.cancelled,
        removed=state.removed,
        failed_otherwise=state.failed_otherwise,
        returned=failed.as_before,
        otherwise=failed.otherwise,
        message=_message(state, word, failed, refused),
        next=state.write() if word == "waiting" else None,
    )


def _message(state: State, word: str, failed: Failed, refused: Counter[str] | None) -> str:
    if word == "stopped" and failed.as_before:
        message = f"{len(failed.as_before)} of {state.started:,} jobs failed as before; "
        message += "the others stay as they are"
    elif word == "stopped":
        message = (
            f"{state.failed_otherwise:,} of {state.started:,} jobs failed by another cause than before; "
        )
        message += "the others stay as they are"
    elif word == "done":
        message = f"{state.started:,} jobs run again, and none that was watched failed as before"
        if state.failed_otherwise:
            message += f", but {state.failed_otherwise:,} failed by another cause"
    else:
        message = f"{state.started:,} jobs run again; {len(state.watched)} of them are watched"
    put_aside = [
        f"{count:,} {'was' if count == 1 else 'were'} {word}"
        for count, word in ((state.cancelled, "cancelled"), (state.removed, "removed"))
        if count
    ]
    if put_aside:
        message += f"; {' and '.join(put_aside)} before the end"
    if refused:
        message += "; not all could be changed: " + "; ".join(
            f"{count:,}: {reason}" for reason, count in refused.most_common(3)
        )
    return message
