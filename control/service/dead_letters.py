"""Retrying dead letters by what they have in common: first counted, then run again, page by page."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from control.service.dead_letter_pages import FIRST, Cursor, Match, Page, pages
from control.service.forged import is_forged
from control.service.journal import Deed, acting, record
from control.service.operator_views import Retried
from control.service.reading import error_type
from control.service.requests import Chunks, DeadLetterFilter, RetryRequest
from jobs.model import Job

if TYPE_CHECKING:
    from actors.composition import App


@dataclass(slots=True)
class Survey:
    """What a count has found so far. `newest` is when the last of them failed, on the store's clock."""

    looked: int = 0
    matched: int = 0
    newest: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class DeadLetters:
    """All raise UnknownQueue, InvalidPayload and StoreUnavailable. `by` is who does it."""

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by

    def survey(self, wanted: DeadLetterFilter) -> Iterator[Survey]:
        """Count what fits, page by page: the same object each time, with more in it."""
        found = Survey()
        for page in self._pages(Match.of(self._app, wanted)):
            found.looked += page.looked
            found.matched += len(page.jobs)
            found.newest = max((found.newest, *(job.finished_at or 0 for job in page.jobs)))
            found.errors.update(error_type(job) or "unknown" for job in page.jobs)
            yield found

    def retry(self, wanted: DeadLetterFilter, newest: int) -> Chunks:
        """Run again what fits and failed no later than `newest`, so that a job that fails anew meanwhile is
        not taken twice. Yields how many each page started; closing it ends the run after a page."""
        done = 0
        match = Match.of(self._app, wanted, newest)
        with self._acting(wanted) as deed:
            try:
                for page in self._pages(match):
                    started = self._again(page.jobs)
                    done += started
                    yield started
            finally:
                deed.count = done
                self._note(wanted, done)

    def retry_page(self, request: RetryRequest) -> Retried:
        """Look at up to `limit` dead letters and run again what fits, unless it is a dry run."""
        cursor = Cursor.read(request.after) if request.after else FIRST._replace(newest=self._horizon())
        match = Match.of(self._app, request, cursor.newest)
        if request.dry_run:
            return self._retried(match, cursor, request)
        with self._acting(request) as deed:
            done = self._retried(match, cursor, request)
            deed.count = done.retried
        self._note(request, done.retried)
        return done

    def _retried(self, match: Match, cursor: Cursor, request: RetryRequest) -> Retried:
        looked = matched = retried = 0
        following = None
        for page in self._pages(match, cursor, request.limit):
            looked += page.looked
            matched += len(page.jobs)
            retried += 0 if request.dry_run else self._again(page.jobs)
            following = page.following
        return Retried(
            looked=looked, matched=matched, retried=retried, next=following.write() if following else None
        )

    def _pages(self, match: Match, cursor: Cursor = FIRST, limit: int | None = None) -> Iterator[Page]:
        return pages(self._app.store, match, cursor, limit)

    def _horizon(self) -> int | None:
        """A moment, on the store's clock, before which everything failed that has failed by now.

        Leases are the only times of that clock here; without a worker nothing fails anew.
        """
        return max((worker.lease_until for worker in self._app.store.workers()), default=None)

    def _again(self, jobs: Sequence[Job]) -> int:
        jobs = [job for job in jobs if not is_forged(self._app, job)]
        if not jobs:
            return 0
        # None that has run and failed once more since it was read, also when this call is repeated.
        seen = max(job.finished_at or 0 for job in jobs)
        return sum(self._app.store.retry_dead([job.id for job in jobs], ended_by=seen))

    def _acting(self, wanted: DeadLetterFilter) -> AbstractContextManager[Deed]:
        return acting(
            self._app,
            self._by,
            "jobs.retry",
            target=wanted.queue,
            tenant=wanted.tenant_id,
            parameters=_facts(wanted),
        )

    def _note(self, wanted: DeadLetterFilter, retried: int) -> None:
        record(self._by, "jobs.retry", retried=retried, **_facts(wanted))


def _facts(wanted: DeadLetterFilter) -> dict[str, Any]:
    return wanted.model_dump(include=set(DeadLetterFilter.model_fields), exclude_none=True)
