"""Looking at schedules: what they are, what comes next, what was."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from control.service.schedule_jobs import job_outcomes
from control.service.schedule_requests import PreviewRequest, document_of
from control.service.schedule_views import (
    NextView,
    PreviewView,
    SchedulesView,
    ScheduleView,
    TicksView,
    TickView,
)
from jobs.errors import InvalidPayload

if TYPE_CHECKING:
    from actors.composition import App
    from database.schedule_history import TickRow
    from scheduling.book import Book, Entry

SHOWN = 3  # ticks to come with each schedule
NOT_A_PAGE = "after: give the 'next' of the answer before, or leave it out"


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


class Schedules:
    """All but `preview` raise DatabaseUnavailable and DatabaseOutdated; those of a name UnknownSchedule."""

    def __init__(self, app: "App", now: Callable[[], datetime] = utc_now) -> None:
        self._app = app
        self._now = now

    def page(
        self,
        *,
        state: str | None = None,
        actor: str | None = None,
        source: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> SchedulesView:
        """A page of those that fit all that is given, by name, from behind the name `after`."""
        from control.service.schedule_reading import STATES

        fits = [
            entry
            for entry in self._book().entries()
            if (after is None or entry.name > after)
            and (state is None or STATES[entry.state.value] == state)
            and (actor is None or (entry.schedule is not None and entry.schedule.actor == actor))
            and (source is None or entry.source.value == source)
        ]
        page = fits[:limit]
        return SchedulesView(
            schedules=self._views(page), next=page[-1].name if len(fits) > limit and page else None
        )

    def get(self, name: str) -> ScheduleView:
        """One schedule."""
        (view,) = self._views([self._book().entry(name)])
        return view

    def next(self, name: str, count: int, after: datetime | None = None) -> NextView:
        """The ticks to come, also while it does not fire. None of one whose declaration is gone."""
        from control.service.schedule_reading import coming
        from jobs.times.words import in_words

        schedule = self._book().entry(name).schedule
        if schedule is None:
            return NextView(name=name, words="", timezone="", next=[])
        after = _in_utc(after or self._now())
        return NextView(
            name=name,
            words=in_words(schedule.plan),
            timezone=schedule.plan.zone,
            next=coming(schedule, after, count),
        )

    def history(self, name: str, limit: int = 50, after: str | None = None) -> TicksView:
        """A page of what was, the newest first. Raises InvalidPayload for an `after` of one's own making."""
        from database.schedule_history import ScheduleHistory

        rows = ScheduleHistory(self._app.engine()).of(name, limit + 1, _moment(after))
        if not rows:
            self._book().entry(name)  # that of a deleted one stays
        page = rows[:limit]
        following = page[-1].tick.isoformat() if len(rows) > limit else None
        return TicksView(name=name, ticks=self._ticks(page), next=following)

    def preview(self, request: PreviewRequest) -> PreviewView:
        """What a timing means. Raises InvalidSchedule, which names the field."""
        from control.service.schedule_reading import coming
        from jobs.schedules import from_document
        from jobs.times.words import in_words

        given = request.model_dump(exclude_unset=True, exclude={"name", "after", "count"})
        schedule = from_document({"name": request.name, "actor": request.name, **document_of(given)})
        after = _in_utc(request.after or self._now())
        return PreviewView(
            words=in_words(schedule.plan),
            timezone=schedule.plan.zone,
            next=coming(schedule, after, request.count),
        )

    def first(
        self, *, state: str | None = None, actor: str | None = None, source: str | None = None, limit: int
    ) -> list[ScheduleView]:
        """The first of those that fit, without pages."""
        return self.page(state=state, actor=actor, source=source, limit=limit).schedules

    def _book(self) -> "Book":
        from scheduling.book import Book

        return Book(self._app)

    def _views(self, entries: "Sequence[Entry]") -> list[ScheduleView]:
        from control.service.schedule_reading import schedule_view
        from database.schedule_history import ScheduleHistory

        last = ScheduleHistory(self._app.engine()).last([entry.name for entry in entries])
        told = dict(zip(last, self._ticks(list(last.values())), strict=True))
        now = self._now()
        return [schedule_view(self._app, entry, told.get(entry.name), now, SHOWN) for entry in entries]

    def _ticks(self, rows: "Sequence[TickRow]") -> list[TickView]:
        from control.service.schedule_reading import tick_view

        outcomes = job_outcomes(self._app, [row.job_id for row in rows])
        return [tick_view(row, outcomes) for row in rows]


def _in_utc(after: datetime) -> datetime:
    """Raises InvalidSchedule for what is at an end of the calendar."""
    from jobs.times.zones import moment

    return moment("after", after if after.tzinfo else after.astimezone())


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidPayload(NOT_A_PAGE) from None
    if moment.tzinfo is None:
        raise InvalidPayload(NOT_A_PAGE)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidPayload(NOT_A_PAGE) from None
