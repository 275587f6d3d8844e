"""Checks of schedules: whether a scheduler fires them, and which cannot be fired."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from control.service.checks.finding import Finding, note, ok, problem
from control.service.checks.servers import is_made
from database.errors import DatabaseOutdated, DatabaseUnavailable
from settings import SettingsError

if TYPE_CHECKING:
    from actors.composition import App
    from scheduling.book import Entry

#: A scheduler writes every 5 s that it is there.
SILENT_S = 20.0
START_IT = "start 'callboard up', or 'callboard scheduler' where workers are started by hand"
_MOST_NAMED = 3


def schedules(app: "App") -> Iterator[Finding]:
    """Those of the settings that cannot be read; of the others nothing while the database is away or without
    tables, which its own check says."""
    from database.scheduler_lease import SchedulerLease
    from scheduling.book import Book
    from scheduling.declared import declared

    try:
        declared(app)
    except SettingsError as error:
        yield problem("schedules", str(error), "correct it in callboard.toml or in the environment")
        return
    if not is_made(app.settings):
        return
    lease = SchedulerLease(app.engine())
    try:
        entries = Book(app).entries()
        held, alive = lease.standing().held, [one for one in lease.processes() if one.age_s < SILENT_S]
    except (DatabaseUnavailable, DatabaseOutdated):
        return
    on = [entry for entry in entries if entry.state.value == "active"]
    if alive:
        leads = next((one for one in alive if one.leads), None)
        fires = f"{leads.owner} fires {_many(on)}" if leads else "none of them fires yet"
        yield ok("scheduler", f"{len(alive)} alive; {fires}")
    elif held:
        yield ok("scheduler", "one has just taken over")
    elif on:
        yield problem("scheduler", f"none is alive, and {_many(on)} should fire", START_IT)
    else:
        yield note("scheduler", "none is alive, and no schedule is on")
    differing = [entry for entry in entries if entry.notice and entry.editable]
    if alive or held:
        differing = [entry for entry in entries if entry.notice]
    yield from _differing(differing)
    yield from _flawed(entries, not differing)


def _differing(entries: "list[Entry]") -> Iterator[Finding]:
    if entries:
        told = "; ".join(f"{one.name}: {one.notice}" for one in entries[:_MOST_NAMED])
        more = f"; and {len(entries) - _MOST_NAMED:,} more" if len(entries) > _MOST_NAMED else ""
        mend = "'callboard schedules list' shows all"
        yield problem("schedules", f"{len(entries):,} not fired as declared: {told}{more}", mend)


def _flawed(entries: "list[Entry]", agreed: bool) -> Iterator[Finding]:
    flawed = [entry for entry in entries if entry.state.value == "flawed"]
    gone = [entry for entry in entries if entry.state.value == "gone"]
    if flawed:
        told = "; ".join(f"{one.name}: {_without_stop(one.flaw)}" for one in flawed[:_MOST_NAMED])
        more = f"; and {len(flawed) - _MOST_NAMED:,} more" if len(flawed) > _MOST_NAMED else ""
        mend = "'callboard schedules list --state flawed' shows all; edit them, or bring the actor back"
        yield problem("schedules", f"{len(flawed):,} cannot fire: {told}{more}", mend)
    elif entries and agreed:
        yield ok("schedules", f"{len(entries):,}, all of which can fire")
    if gone:
        names = ", ".join(entry.name for entry in gone[:_MOST_NAMED])
        yield note(
            "schedules",
            f"declared no more: {names}; 'callboard schedules delete' removes them once the "
            "scheduler was restarted",
        )


def _many(entries: "list[Entry]") -> str:
    return f"{len(entries):,} schedule" + ("s" if len(entries) != 1 else "")


def _without_stop(sentence: str | None) -> str:
    return (sentence or "").rstrip(".")
