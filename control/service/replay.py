"""Running dead letters again, with their arguments changed if asked, or discarding them with a reason."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from control.service.dead_letter_pages import FIRST, Cursor, Match, Page, pages
from control.service.edits import Edit
from control.service.forged import FORGED_STAYS, is_forged
from control.service.journal import Deed, acting, record
from control.service.letter_views import Replayed
from control.service.requests import DeadLetterFilter, DiscardRequest, ReplayRequest
from jobs.errors import CallboardError, InvalidPayload, StoreUnavailable
from jobs.model import Job

if TYPE_CHECKING:
    from actors.composition import App

NO_EDIT = Edit()
REPLAY, DISCARD = "dead.replay", "dead.discard"
MOST_REASONS = 10


@dataclass(slots=True)
class Tally:
    """What a run has done so far."""

    done: int = 0
    looked: int = 0
    matched: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def reasons(self) -> list[str]:
        return [f"{count:,}: {reason}" for reason, count in self.refused.most_common(MOST_REASONS)]


Run = Generator[int, None, None]


class Replay:
    """All raise UnknownQueue, InvalidPayload, StoreUnavailable, and DatabaseUnavailable before anything is
    touched. `by` is who does it."""

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by

    def run(
        self, wanted: DeadLetterFilter, newest: int, edit: Edit = NO_EDIT, tally: Tally | None = None
    ) -> Run:
        """Run again what fits and failed no later than `newest`. Yields how many each page started; closing
        it ends the run after a page. `tally` is told why some could not be changed."""
        tally = tally if tally is not None else Tally()
        return self._run(REPLAY, wanted, newest, tally, edit=edit)

    def discard(self, wanted: DeadLetterFilter, newest: int, reason: str) -> Run:
        """Remove what fits and failed no later than `newest`; the same way."""
        return self._run(DISCARD, wanted, newest, Tally(), reason=reason)

    def replay_page(self, request: ReplayRequest) -> Replayed:
        """Look at up to `limit` dead letters and run again what fits, unless it is a dry run."""
        edit = Edit(patch=request.patch, lift_times=request.lift_times)
        return self._page(REPLAY, request, request, edit=edit)

    def discard_page(self, request: DiscardRequest) -> Replayed:
        """The same, removing them."""
        return self._page(DISCARD, request, request, reason=request.reason)

    def again(self, jobs: Sequence[Job], edit: Edit, refused: Counter[str]) -> list[str]:
        """Run these again; the ids of those that do. Of the others `refused` counts why."""
        genuine = [job for job in jobs if not is_forged(self._app, job)]
        if len(genuine) < len(jobs):
            refused[FORGED_STAYS] += len(jobs) - len(genuine)
        ready = [job for job in genuine if self._edited(job, edit, refused)] if edit else genuine
        if not ready:
            return []
        # None that has run and failed once more since it was read, also when this call is repeated.
        seen = max(job.finished_at or 0 for job in ready)
        started = self._app.store.retry_dead([job.id for job in ready], ended_by=seen)
        return [job.id for job, yes in zip(ready, started, strict=True) if yes]

    def _edited(self, job: Job, edit: Edit, refused: Counter[str]) -> bool:
        try:
            payload = edit.of(self._app, job)
        except StoreUnavailable:
            raise
        except CallboardError as error:
            refused[_reason(error, job)] += 1
            return False
        if payload == job.payload or self._app.store.replace_payload(job.id, job.payload, payload):
            return True
        refused["somebody else changed it meanwhile"] += 1
        return False

    def _run(
        self,
        action: str,
        wanted: DeadLetterFilter,
        newest: int,
        tally: Tally,
        edit: Edit = NO_EDIT,
        reason: str = "",
    ) -> Run:
        match = Match.of(self._app, wanted, newest)
        with self._acting(action, wanted, edit, reason) as deed:
            try:
                for page in pages(self._app.store, match, FIRST, None):
                    done = self._do(action, page, edit, tally)
                    yield done
            finally:
                deed.count = tally.done
                self._note(action, wanted, edit, tally)

    def _page(
        self,
        action: str,
        request: ReplayRequest | DiscardRequest,
        wanted: DeadLetterFilter,
        edit: Edit = NO_EDIT,
        reason: str = "",
    ) -> Replayed:
        cursor = Cursor.read(request.after) if request.after else FIRST._replace(newest=horizon(self._app))
        match, tally, following = Match.of(self._app, wanted, cursor.newest), Tally(), None
        if request.dry_run:
            for page in pages(self._app.store, match, cursor, request.limit):
                tally.looked += page.looked
                tally.matched += len(page.jobs)
                following = page.following
        else:
            with self._acting(action, wanted, edit, reason) as deed:
                for page in pages(self._app.store, match, cursor, request.limit):
                    self._do(action, page, edit, tally)
                    deed.count, following = tally.done, page.following
            self._note(action, wanted, edit, tally)
        return Replayed(
            looked=tally.looked,
            matched=tally.matched,
            done=tally.done,
            refused=tally.reasons,
            next=following.write() if following else None,
        )

    def _do(self, action: str, page: Page, edit: Edit, tally: Tally) -> int:
        discard = action == DISCARD
        done = self._gone(page.jobs) if discard else len(self.again(page.jobs, edit, tally.refused))
        tally.looked += page.looked
        tally.matched += len(page.jobs)
        tally.done += done
        return done

    def _gone(self, jobs: Sequence[Job]) -> int:
        if not jobs:
            return 0
        seen = max(job.finished_at or 0 for job in jobs)
        return sum(self._app.store.remove([job.id for job in jobs], ended_by=seen))

    def _acting(
        self, action: str, wanted: DeadLetterFilter, edit: Edit, reason: str
    ) -> AbstractContextManager[Deed]:
        return acting(
            self._app,
            self._by,
            action,
            target=wanted.queue,
            tenant=wanted.tenant_id,
            reason=reason,
            parameters=facts_of(wanted, edit),
        )

    def _note(self, action: str, wanted: DeadLetterFilter, edit: Edit, tally: Tally) -> None:
        record(self._by, action, done=tally.done, **facts_of(wanted, edit))


def facts_of(wanted: DeadLetterFilter, edit: Edit = NO_EDIT) -> dict[str, Any]:
    """What was asked for, without any value of an argument."""
    told = wanted.model_dump(include=set(DeadLetterFilter.model_fields), exclude_none=True)
    if edit.patch or edit.words:
        told["edited"] = sorted({*edit.patch, *edit.words})
    if edit.lift_times:
        told["lift_times"] = True
    return told


def horizon(app: "App") -> int | None:
    """A moment, on the store's clock, before which everything failed that has failed by now.

    Leases are the only times of that clock here; without a worker nothing fails anew.
    """
    return max((worker.lease_until for worker in app.store.workers()), default=None)


def _reason(error: CallboardError, job: Job) -> str:
    # One reason of many jobs is one line.
    words = str(error) if isinstance(error, InvalidPayload) else f"{type(error).__name__}: {error}"
    return words.replace(f"job {job.id}", "the job")
