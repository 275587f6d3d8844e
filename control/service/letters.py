"""Dead letters to look at: page by page, and grouped by what went wrong."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from control.service.dead_letter_pages import FIRST, Cursor, Match, pages
from control.service.letter_views import GroupsView, GroupView, LettersView, LetterView
from control.service.reading import error_of
from control.service.requests import DeadLetterFilter
from control.service.views import moment
from jobs.failures import fingerprint_of
from jobs.model import Job

if TYPE_CHECKING:
    from actors.composition import App

#: Dead letters of one look for groups, and names that one group tells.
MOST_GROUPED, MOST_NAMES = 100_000, 20


@dataclass(slots=True)
class Group:
    """Dead letters of one cause so far."""

    last: Job
    error: dict[str, Any]
    count: int = 0
    first_at: int = 0
    queues: set[str] = field(default_factory=set)
    actors: set[str] = field(default_factory=set)
    tenants: set[str] = field(default_factory=set)

    def add(self, job: Job, error: dict[str, Any]) -> None:
        at = job.finished_at or 0
        self.count += 1
        self.first_at = min(self.first_at or at, at)
        if at >= (self.last.finished_at or 0):
            self.last, self.error = job, error
        self.queues.add(job.queue)
        self.actors.add(job.actor)
        self.tenants.add(job.lane)


class Letters:
    """All raise UnknownQueue, InvalidPayload and StoreUnavailable."""

    def __init__(self, app: "App") -> None:
        self._app = app

    def page(self, wanted: DeadLetterFilter, limit: int, after: str | None = None) -> LettersView:
        """Look at up to `limit` dead letters, the oldest first, and show those that fit."""
        match = Match.of(self._app, wanted)
        looked, found, following = 0, list[LetterView](), None
        for page in pages(self._app.store, match, Cursor.read(after) if after else FIRST, limit):
            looked += page.looked
            found += [_letter(job) for job in page.jobs]
            following = page.following
        return LettersView(looked=looked, letters=found, next=following.write() if following else None)

    def groups(self, wanted: DeadLetterFilter, limit: int = MOST_GROUPED) -> GroupsView:
        """The causes of those that fit, the most frequent first; looks at `limit` at most."""
        groups, looked, following = dict[str, Group](), 0, None
        for page in pages(self._app.store, Match.of(self._app, wanted), FIRST, limit):
            looked += page.looked
            following = page.following
            for job in page.jobs:
                error = error_of(job)
                mark = fingerprint_of(error)
                group = groups.get(mark)
                if group is None:
                    group = groups[mark] = Group(job, error)
                group.add(job, error)
        views = [_group(mark, group) for mark, group in groups.items()]
        views.sort(key=lambda view: (-view.count, view.fingerprint))
        return GroupsView(looked=looked, groups=views, complete=following is None)


def _letter(job: Job) -> LetterView:
    error = error_of(job)
    return LetterView(
        id=job.id,
        queue=job.queue,
        name=job.actor,
        dead_letter=job.dead_letter,
        tenant_id=job.lane or None,
        attempts_made=job.attempts,
        failed_at=moment(job.finished_at),
        error_type=_text(error, "type"),
        error_code=_text(error, "code"),
        error_message=_text(error, "message"),
        fingerprint=fingerprint_of(error),
    )


def _group(mark: str, group: Group) -> GroupView:
    return GroupView(
        fingerprint=mark,
        error_type=_text(group.error, "type"),
        error_code=_text(group.error, "code"),
        error_message=_text(group.error, "message"),
        count=group.count,
        queues=sorted(group.queues)[:MOST_NAMES],
        actors=sorted(group.actors)[:MOST_NAMES],
        tenants=len(group.tenants - {""}),
        first_at=moment(group.first_at or None),
        last_at=moment(group.last.finished_at),
        last_job_id=group.last.id,
    )


def _text(error: dict[str, Any], name: str) -> str | None:
    value = error.get(name)
    return value if isinstance(value, str) else None
