"""Paging through the dead letters of several queues, and which of them fit a filter."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import orjson

from control.service.names import declared_queues, find_queues, own_queues
from control.service.reading import error_of
from control.service.requests import CHUNK, DeadLetterFilter
from jobs.errors import InvalidPayload
from jobs.failures import fingerprint_of
from jobs.model import Job
from jobs.states import JobState
from jobs.store import JobStore

if TYPE_CHECKING:
    from actors.composition import App


NOT_A_CURSOR = "after: give the 'next' of the answer before, or leave it out"


class Cursor(NamedTuple):
    """Where to go on: in a queue, after a place in it; what failed later than `newest` is left out."""

    queue: str
    after: str
    newest: int | None

    def write(self) -> str:
        """The cursor as a caller gets and gives it."""
        return base64.urlsafe_b64encode(orjson.dumps(tuple(self))).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """The cursor again. Raises InvalidPayload."""
        try:
            cursor = cls(*orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
        except (ValueError, TypeError):
            raise InvalidPayload(NOT_A_CURSOR) from None
        fits = isinstance(cursor.queue, str) and isinstance(cursor.after, str)
        if not fits or not isinstance(cursor.newest, int | None):
            raise InvalidPayload(NOT_A_CURSOR)
        return cursor


FIRST = Cursor("", "", None)


class Page(NamedTuple):
    """How many were looked at, those that fit, and where to go on; None: that was the last page."""

    looked: int
    jobs: Sequence[Job]
    following: Cursor | None


@dataclass(frozen=True, slots=True)
class Match:
    """The queues to look through, each with whether it is a dead-letter queue, and what a job must be."""

    queues: Sequence[tuple[str, bool]]
    actor: str | None
    error: str | None
    tenant: str | None
    since: float
    until: float
    newest: int | None
    code: str | None = None
    fingerprint: str | None = None

    @classmethod
    def of(cls, app: "App", wanted: DeadLetterFilter, newest: int | None = None) -> "Match":
        """What a filter means here. Raises UnknownQueue."""
        own = own_queues(app)
        queues = own if wanted.queue is None else find_queues(app, wanted.queue)
        letters = set(declared_queues(app)) - set(own)
        return cls(
            queues=[(queue, queue in letters) for queue in queues],
            actor=wanted.name and wanted.name.replace("-", "_"),
            error=wanted.error_type,
            tenant=wanted.tenant_id,
            since=wanted.since.timestamp() * 1000 if wanted.since else 0,
            until=wanted.until.timestamp() * 1000 if wanted.until else float("inf"),
            newest=newest,
            code=wanted.error_code,
            fingerprint=wanted.fingerprint,
        )

    def fits(self, job: Job) -> bool:
        failed = job.finished_at or 0
        return (
            self.since <= failed < self.until
            and (self.newest is None or failed <= self.newest)
            and self.actor in (None, job.actor)
            and self.tenant in (None, job.lane)
            and self._fits_error(job)
        )

    def _fits_error(self, job: Job) -> bool:
        if self.error is None and self.code is None and self.fingerprint is None:
            return True
        error = error_of(job)
        return (
            self.error in (None, error.get("type"))
            and self.code in (None, error.get("code"))
            and (self.fingerprint is None or self.fingerprint == fingerprint_of(error))
        )


def pages(store: JobStore, match: Match, cursor: Cursor, limit: int | None) -> Iterator[Page]:
    """The pages from `cursor` on, of at most `limit` dead letters together. Raises InvalidPayload."""
    names = [queue for queue, _ in match.queues]
    if cursor.queue and cursor.queue not in names:
        raise InvalidPayload("after: it belongs to another filter; leave it out to begin anew")
    at = names.index(cursor.queue) if cursor.queue else 0
    after, looked = cursor.after, 0
    while at < len(names) and (limit is None or looked < limit):
        size = CHUNK if limit is None else min(CHUNK, limit - looked)
        queue, routed = match.queues[at]
        jobs, following = _scan(store, queue, routed, size, after)
        looked += len(jobs)
        if following is None:
            at, after = at + 1, ""
        else:
            after = following
        more = Cursor(names[at], after, match.newest) if at < len(names) else None
        yield Page(len(jobs), [job for job in jobs if match.fits(job)], more)


def _scan(
    store: JobStore, queue: str, routed: bool, size: int, after: str
) -> tuple[Sequence[Job], str | None]:
    """A page of one queue. `after` may have come from a caller, who may have changed it."""
    try:
        jobs, following = store.scan(queue, JobState.FAILED, size, after, routed=routed)
    except ValueError:
        raise InvalidPayload(NOT_A_CURSOR) from None
    return [job for job in jobs if queue == (job.dead_letter if routed else job.queue)], following
