"""What an operator can do to jobs: start now, reorder, cancel, remove, run again."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from control.service.forged import FORGED_STAYS, is_forged, not_forged
from control.service.journal import Deed, acting, record
from control.service.names import possible_job_ids
from control.service.operator_views import JobAnswer
from control.service.removals import Leaving, leaving, remove_blobs, span_words
from control.service.requests import CHUNK
from jobs.model import Cancelled
from jobs.states import JobState
from jobs.texts import printable

if TYPE_CHECKING:
    from actors.composition import App

#: Of more jobs nobody asks whose they are, or what they leave, before something is done to them.
LOOKED_AT = 20
OTHER_HOLDS_ITS_KEY = (
    "another job with its unique key has not ended; retry it after that, or remove the other"
)

_CANCELLED = {
    Cancelled.DONE: "job {id} is cancelled",
    Cancelled.SIGNALLED: "job {id} runs; its worker was told to cancel it",
    Cancelled.LATE: "job {id} was settled before, so there is nothing to cancel",
    Cancelled.UNKNOWN: "there is no job {id}: it was never accepted, or its retention has ended",
}


class JobActions:
    """Each takes ids and answers for each of them, in order. All raise StoreUnavailable.

    `by` is who does it, for the journal.
    """

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by

    def promote(self, job_ids: Sequence[str]) -> list[JobAnswer]:
        """Let delayed jobs, and jobs held by themselves, start now."""
        return self._do(
            "promote",
            self._app.store.promote,
            job_ids,
            "job {id} may start now",
            "only delayed and held jobs can be promoted",
        )

    def set_priority(self, job_ids: Sequence[str], priority: int) -> list[JobAnswer]:
        """Give jobs that have not started another priority, 1 (first) to 10."""
        return self._do(
            "priority",
            lambda ids: self._app.store.set_priority(ids, priority),
            job_ids,
            f"job {{id}} has priority {priority}",
            "only waiting and delayed jobs can change their priority",
            priority=priority,
        )

    def remove(self, job_ids: Sequence[str]) -> list[JobAnswer]:
        """Remove jobs in any state but active. Ids that their senders gave stay taken for a while, and a few
        jobs are told so; of a few the blobs go at once, of many with the next sweep."""
        few = possible_job_ids(job_ids) if len(job_ids) <= LOOKED_AT else ()
        left = leaving(self._app, few)
        answers = self._do(
            "remove",
            self._app.store.remove,
            job_ids,
            "job {id} is removed",
            "a job that runs can only be cancelled",
        )
        gone = {answer.id: left.get(answer.id, Leaving()) for answer in answers if answer.done}
        remove_blobs(self._app, gone.values())
        return [_with_memory(answer, gone.get(answer.id)) for answer in answers]

    def retry(self, job_ids: Sequence[str], *, from_start: bool = False) -> list[JobAnswer]:
        """Run failed and cancelled jobs again, with all their attempts. `from_start`: finished steps too, but
        not finished effects."""
        facts: dict[str, object] = {"from_start": True} if from_start else {}
        return self._do(
            "retry",
            lambda ids: self._retry(ids, from_start),
            job_ids,
            "job {id} waits to run again",
            "only failed and cancelled jobs can be retried",
            may_be=(JobState.FAILED, JobState.CANCELLED),
            **facts,
        )

    def cancel(self, job_ids: Sequence[str], reason: str = "") -> list[JobAnswer]:
        """Cancel jobs: those that have not started at once; of what runs the worker is told."""
        ids, reason = possible_job_ids(job_ids), printable(reason)
        found: dict[str, Cancelled] = {}
        with self._acting("job.cancel", ids, {}, reason) as deed:
            for chunk in _chunks(ids):
                found |= zip(chunk, self._app.store.cancel(chunk, reason), strict=True)
                deed.count = sum(one in (Cancelled.DONE, Cancelled.SIGNALLED) for one in found.values())
        answers = []
        for job_id in job_ids:
            outcome = found.get(job_id, Cancelled.UNKNOWN)
            done = outcome in (Cancelled.DONE, Cancelled.SIGNALLED)
            if done:
                record(self._by, "job.cancel", job=job_id, outcome=outcome.value)
            message = _CANCELLED[outcome].format(id=repr(job_id[:128]))
            answers.append(JobAnswer(id=job_id, done=done, outcome=outcome.value, message=message))
        return answers

    def _do(
        self,
        action: str,
        verb: Callable[[Sequence[str]], list[bool]],
        job_ids: Sequence[str],
        success: str,
        refusal: str,
        may_be: Collection[JobState] = (),
        **facts: object,
    ) -> list[JobAnswer]:
        ids = possible_job_ids(job_ids)
        done: dict[str, bool] = {}
        with self._acting(f"job.{action}", ids, facts) as deed:
            for chunk in _chunks(ids):
                done |= zip(chunk, verb(chunk), strict=True)
                deed.count = sum(done.values())
        answers = []
        for job_id in job_ids:
            if done.get(job_id, False):
                record(self._by, f"job.{action}", job=job_id, **facts)
                message = success.format(id=repr(job_id))
                answers.append(JobAnswer(id=job_id, done=True, outcome="done", message=message))
            else:
                answers.append(self._refused(job_id, refusal, may_be, known=job_id in done))
        return answers

    def _retry(self, job_ids: Sequence[str], from_start: bool) -> list[bool]:
        genuine = not_forged(self._app, job_ids)
        again = self._app.store.retry_dead(genuine, from_start=from_start) if genuine else []
        done = dict(zip(genuine, again, strict=True))
        return [done.get(job_id, False) for job_id in job_ids]

    def _acting(
        self, action: str, ids: Sequence[str], facts: Mapping[str, object], reason: str = ""
    ) -> AbstractContextManager[Deed]:
        if not ids:
            return nullcontext(Deed())  # no job can have such an id, so nothing is done
        target = ids[0] if len(ids) == 1 else None
        tenant = self._tenant(ids) or None
        told = {"jobs": list(ids), **facts}
        return acting(
            self._app, self._by, action, target=target, tenant=tenant, reason=reason, parameters=told
        )

    def _tenant(self, ids: Sequence[str]) -> str:
        """Whose jobs they are, when they are few and of one tenant."""
        if len(ids) > LOOKED_AT:
            return ""
        found = [job.lane for job in map(self._app.store.get, ids) if job]
        return found[0] if found and len(set(found)) == 1 else ""

    def _refused(self, job_id: str, refusal: str, may_be: Collection[JobState], *, known: bool) -> JobAnswer:
        job = self._app.store.get(job_id) if known else None
        if job is None:
            message = _CANCELLED[Cancelled.UNKNOWN].format(id=repr(job_id[:128]))
            return JobAnswer(id=job_id, done=False, outcome="unknown", message=message)
        if job.state in may_be:
            refusal = FORGED_STAYS if is_forged(self._app, job) else OTHER_HOLDS_ITS_KEY
        message = f"job {job_id!r} is {job.state}; {refusal}"
        return JobAnswer(id=job_id, done=False, outcome="refused", message=message)


def _with_memory(answer: JobAnswer, left: Leaving | None) -> JobAnswer:
    if left is None or left.id_memory_ms is None:
        return answer
    stays = f"; its id stays taken for {span_words(left.id_memory_ms)}"
    return answer.model_copy(update={"message": answer.message + stays})


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
