"""What operators do to schedules. Every act is in the audit before it is done."""

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any, NamedTuple

from control.service.errors import NotPossible
from control.service.journal import acting, record
from control.service.names import python_names
from control.service.schedule_hiding import hides_arguments
from control.service.schedule_requests import NewScheduleRequest, ScheduleChanges, ScheduleRequest
from control.service.schedule_views import Gone, RunView, ScheduleView
from control.service.schedules import Schedules
from jobs.errors import InvalidPayload, InvalidSchedule

if TYPE_CHECKING:
    from actors.composition import App
    from jobs.schedules import Schedule
    from scheduling.book import Book, Entry


class Saved(NamedTuple):
    """A schedule that is kept now, and whether it is new."""

    view: ScheduleView
    created: bool


class ScheduleActions:
    """All raise DatabaseUnavailable and DatabaseOutdated. Saving raises InvalidSchedule, InvalidPayload and
    UnknownActor, whose words begin with the field; what is declared in code or in the settings NotEditable.
    `by` is who does it."""

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by

    def create(self, request: NewScheduleRequest) -> ScheduleView:
        """Keep a new schedule. Raises ScheduleExists."""
        schedule = self._checked(request.name, request.document())
        self._add(schedule)
        return self._view(schedule.name)

    def put(self, name: str, request: ScheduleRequest) -> Saved:
        """Keep a schedule in place of the one of this name, or as a new one. The same one twice is one."""
        entry = self._found(name) if request.version is None else self._book().entry(name)
        if entry is not None:
            _must_be_editable(entry)
        schedule = self._checked(name, request.document())
        if entry is None:
            self._add(schedule)
        else:
            self._replace(entry, schedule, request.version)
        return Saved(self._view(name), entry is None)

    def change(self, name: str, changes: ScheduleChanges) -> ScheduleView:
        """Change a part of a schedule. Raises UnknownSchedule and ScheduleChanged."""
        from jobs.schedules import to_document

        entry = self._book().entry(name)
        _must_be_editable(entry)
        if changes.actor is not None and changes.args is None and hides_arguments(entry):
            raise InvalidPayload("args: give them anew, because those of the other actor are private")
        before = {} if entry.schedule is None else to_document(entry.schedule)
        schedule = self._checked(name, changes.over(before))
        # What is laid over what was read must not undo what came between.
        self._replace(entry, schedule, changes.version or entry.row.version)
        return self._view(name)

    def pause(self, name: str) -> ScheduleView:
        """Fire nothing more of it, however it is declared. Raises UnknownSchedule."""
        return self._switch(name, "schedule.pause")

    def resume(self, name: str) -> ScheduleView:
        """Let it go on with the next tick. Raises UnknownSchedule."""
        return self._switch(name, "schedule.resume")

    def run(self, name: str) -> RunView:
        """One job more, now. Raises UnknownSchedule, NotPossible for one that is flawed or gone, and what
        sending a job raises."""
        entry = self._book().entry(name)
        if entry.flaw is not None:
            raise NotPossible(f"the schedule {name} cannot run: {entry.flaw}")
        with acting(self._app, self._by, "schedule.run", target=name, tenant=_tenant(entry)) as deed:
            fired = self._book().run_now(name, self._by)
            deed.count, deed.result = 1, fired.job_id
        record(self._by, "schedule.run", schedule=name, job=fired.job_id)
        return RunView(
            name=name,
            job_id=fired.job_id,
            outcome=fired.outcome.value,
            tick=fired.tick.replace(microsecond=0),
        )

    def delete(self, name: str, version: int | None = None) -> Gone:
        """Forget it; its jobs stay. Raises UnknownSchedule and ScheduleChanged."""
        from scheduling.errors import ScheduleChanged

        entry = self._book().entry(name)
        if not entry.row.gone:
            _must_be_editable(entry)
        self._book().check_deletable(entry)
        if version is not None and version != entry.row.version:
            raise ScheduleChanged(
                f"the schedule {name} has version {entry.row.version} by now, not {version}: look at it again"
            )
        with acting(self._app, self._by, "schedule.delete", target=name, tenant=_tenant(entry)):
            self._book().delete(name, self._by, version)
        record(self._by, "schedule.delete", schedule=name)
        return Gone(name=name, deleted=True)

    # Inside

    def _add(self, schedule: "Schedule") -> None:
        told = _told(schedule)
        with acting(self._app, self._by, "schedule.create", target=schedule.name, **told):
            self._book().add(schedule, self._by)
        record(self._by, "schedule.create", schedule=schedule.name, actor=schedule.actor)

    def _replace(self, entry: "Entry", schedule: "Schedule", version: int | None) -> None:
        from jobs.schedules import to_document

        name, told = schedule.name, _told(schedule)
        same = entry.schedule is not None and to_document(schedule) == to_document(entry.schedule)
        if same and version in (None, entry.row.version):
            return
        with acting(self._app, self._by, "schedule.change", target=name, **told):
            self._book().replace(schedule, self._by, version)
        record(self._by, "schedule.change", schedule=name, actor=schedule.actor)

    def _switch(self, name: str, action: str) -> ScheduleView:
        book, pausing = self._book(), action == "schedule.pause"
        entry = book.entry(name)
        if pausing is (entry.row.paused_at is not None):
            return self._view(name)
        with acting(self._app, self._by, action, target=name, tenant=_tenant(entry)) as deed:
            deed.count = int((book.pause if pausing else book.resume)(name, self._by))
        record(self._by, action, schedule=name)
        return self._view(name)

    def _checked(self, name: str, document: Mapping[str, Any]) -> "Schedule":
        """The schedule that a document means, its arguments by the actor's own names."""
        from jobs.schedules import from_document

        book, named = self._book(), {**document, "name": name}
        if "actor" in document:
            contract = self._app.contract(document["actor"])
            named["args"] = python_names(contract.schema(), document.get("args", {}))
            _check_private(named["args"], contract.private)
        schedule = from_document(named)
        book.check(schedule)
        return schedule

    def _found(self, name: str) -> "Entry | None":
        from scheduling.errors import UnknownSchedule

        try:
            return self._book().entry(name)
        except UnknownSchedule:
            return None

    def _view(self, name: str) -> ScheduleView:
        return Schedules(self._app).get(name)

    def _book(self) -> "Book":
        from scheduling.book import Book

        return Book(self._app)


def _check_private(args: Mapping[str, Any], private: Set[str]) -> None:
    """Refuse wrong templates in private arguments here, without the words that `from_document` quotes."""
    from jobs.schedules import check_templates

    for name in private & args.keys():
        try:
            check_templates(args[name])
        except InvalidSchedule:
            raise InvalidSchedule(
                f"args have braces in {name} that are no {{tick}}, {{previous_tick}} or {{schedule}}: "
                "write {{ and }} for braces."
            ) from None


def _must_be_editable(entry: "Entry") -> None:
    from scheduling.errors import NotEditable

    if entry.editable:
        return
    if entry.source.value == "settings":
        place = f"in the settings: change [schedules.{entry.name}] of callboard.toml"
    else:
        place = f"in code: change `periodic` and `schedule` of the actor {entry.name}"
    raise NotEditable(f"the schedule {entry.name} is declared {place}; here it can be paused and run")


def _tenant(entry: "Entry") -> str | None:
    return None if entry.schedule is None else entry.schedule.options.get("tenant_id")


def _told(schedule: "Schedule") -> dict[str, Any]:
    """What the audit says of it: names and times, no argument."""
    facts = {
        "actor": schedule.actor,
        "timing": schedule.plan.timing.text,
        "timezone": schedule.plan.zone,
        "arguments": sorted(schedule.args),
    }
    return {"tenant": schedule.options.get("tenant_id"), "parameters": facts}
