"""A schedule with all that is known of it: what it says, and what its row says of it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from database.schedules import StoredSchedule
from jobs.errors import CallboardError, KeyUnavailable
from jobs.schedules import Schedule, Source, fingerprint
from scheduling.checking import flaw_of
from scheduling.documents import SEALED, keeps_private, read, timing_of, written

if TYPE_CHECKING:
    from actors.composition import App

GONE = "It is not declared any more; it is not fired."
NEW = "new: restart the scheduler"
CHANGED = "changed: restart the scheduler, which fires it as it was"
STILL_FIRED = "not declared here, but the scheduler fires it: restart the scheduler"


class State(StrEnum):
    """Whether a schedule fires, and why not."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    FLAWED = "flawed"  # its ticks are refused
    GONE = "gone"  # code or settings declared it, and do not any more
    ENDED = "ended"  # it has no more ticks


@dataclass(frozen=True, slots=True)
class Entry:
    """`schedule` is None when it is gone or cannot be read; `private`: its arguments must not be shown.
    `notice`: in what the scheduler has it another way than this process."""

    row: StoredSchedule
    schedule: Schedule | None
    flaw: str | None
    private: bool = False
    notice: str | None = None
    examined: bool = True  # else `flaw` is what was found the last time

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def source(self) -> Source:
        return Source(self.row.source)

    @property
    def editable(self) -> bool:
        return self.source is Source.RUNTIME

    @property
    def state(self) -> State:
        if self.row.gone:
            return State.GONE
        if self.row.paused_at is not None:
            return State.PAUSED
        if not self.row.enabled:
            return State.DISABLED
        if self.schedule is not None and self.schedule.plan.next_after(self.row.cursor) is None:
            return State.ENDED
        return State.FLAWED if self.flaw is not None else State.ACTIVE

    @property
    def fires(self) -> bool:
        """Whether its ticks are looked at: those of a flawed one are refused."""
        row = self.row
        return self.schedule is not None and row.enabled and row.paused_at is None and not row.gone

    def next_tick(self, after: datetime) -> datetime | None:
        """The next tick after a moment that is fired, if there is one."""
        if self.schedule is None or not self.fires:
            return None
        return self.schedule.plan.next_after(max(after, self.row.cursor))


def entry_of(app: "App", row: StoredSchedule, declared: Schedule | None, *, examine: bool = True) -> Entry:
    """From its row, and from what code or settings say of a schedule that is theirs.

    Without `examine` it is not looked whether it fits here: `examined` does.

    Raises KeyUnavailable when the database does not give the key of its arguments.
    """
    if row.source == Source.RUNTIME:
        if row.document is None:
            return Entry(row, None, "Its document is missing: write it anew, or delete it.")
        try:
            schedule = read(app, row.document)
        except KeyUnavailable:
            raise
        except CallboardError as error:
            return Entry(row, None, f"It cannot be read: {error}")
        except Exception as error:  # noqa: BLE001  somebody has been at the table
            return Entry(row, None, f"Its document cannot be read ({type(error).__name__}).")
    elif declared is None:
        return Entry(row.altered(gone=True), None, GONE)
    else:
        schedule = declared
        row = row.altered(gone=False, source=declared.source.value, enabled=declared.enabled)
    private = keeps_private(app, schedule.actor) or SEALED in (row.document or "")
    if not examine:
        return Entry(row, schedule, row.flaw, private, examined=False)
    return Entry(row, schedule, flaw_of(app, schedule), private)


def examined(app: "App", entry: Entry) -> Entry:
    """The same once it was looked whether it fits here."""
    flaw = entry.flaw if entry.schedule is None else flaw_of(app, entry.schedule)
    return replace(entry, flaw=flaw, examined=True)


def notice_of(stored: StoredSchedule | None, declared: Schedule | None) -> str | None:
    """How what the scheduler has stored of a schedule differs from what is declared here, if it does."""
    if declared is None:
        theirs = stored is not None and stored.source != Source.RUNTIME and not stored.gone
        return STILL_FIRED if theirs else None
    if stored is None or (stored.gone and stored.source != Source.RUNTIME) or not stored.fingerprint:
        return NEW if declared.enabled else None
    if stored.source == Source.RUNTIME:
        return (
            f"made at runtime, and fired instead of the one of this name in {declared.source.value}: "
            "delete it, or rename one of them"
        )
    return CHANGED if stored.fingerprint != fingerprint(declared) else None


def new_row(app: "App", schedule: Schedule, now: datetime, by: str) -> StoredSchedule:
    """The row of a new schedule, which begins now. Raises KeyMissing."""
    runtime = schedule.source is Source.RUNTIME
    return StoredSchedule(
        name=schedule.name,
        source=schedule.source.value,
        document=written(app, schedule) if runtime else None,
        version=1,
        enabled=schedule.enabled,
        cursor=now,
        created_at=now,
        created_by=by,
        updated_at=now,
        updated_by=by,
        fingerprint=fingerprint(schedule),
        timing=timing_of(schedule),
    )
