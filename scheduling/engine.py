"""Fires what is due. One thread calls `step`; the clock, the lease and both stores are handed in.

A tick is handed over first, then its cursor and its history move in one transaction that the lease's token
lets in. Whoever dies between leaves a tick that is handed over again, under the id that it has already.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from database.errors import DatabaseUnavailable
from database.schedule_history import ScheduleHistory
from database.scheduler_lease import LeaseTaken
from database.schedules import FUTURE, Schedules, StoredSchedule
from jobs.errors import KeyUnavailable
from jobs.schedules import Schedule
from scheduling.declared import declared
from scheduling.entries import Entry, entry_of, examined, new_row
from scheduling.firing import utc_now
from scheduling.leader import steady_clock
from scheduling.line import Track
from scheduling.outage import Outage
from scheduling.reconciling import reconcile, with_flaw
from scheduling.rounds import Rounds
from scheduling.taking_back import handed_over, take_back
from scheduling.unsaved import Unsaved

if TYPE_CHECKING:
    from actors.composition import App

logger = logging.getLogger("callboard.schedules")

#: Ids are remembered so much longer than ticks are caught up, in seconds.
MEMORY_MARGIN_S = 60.0
#: A leader that could not renew its lease looks again so soon, in seconds.
UNSURE_S = 0.5
#: Of a step, so much is for looking whether schedules fit here that were not looked at yet, in seconds.
EXAMINE_S = 0.1
#: A clock that goes so much, in seconds, before or behind a steady one was moved.
MOVED_S = 60.0


class Engine:
    """`sure` says whether nobody else can have the lease; `lost` is called when somebody has it after all."""

    def __init__(
        self,
        app: "App",
        sure: Callable[[], bool],
        lost: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = utc_now,
        steady: Callable[[], float] = steady_clock,
    ) -> None:
        self._beat = time.monotonic()
        self._app = app
        self._sure = sure
        self._lost = lost
        self._clock = clock
        self._steady = steady
        self._offset: float | None = None  # between the two
        self._token: int | None = None
        self._change = 0
        self._tracks: dict[str, Track] = {}
        self._unexamined: dict[str, Entry] = {}
        self._flaws: dict[str, dict[str, Any]] = {}  # that were found, and are not stored
        self._rounds = Rounds(app, sure, clock, self._examine_track)
        self._database = Outage("Schedules wait for the database")

    @property
    def count(self) -> int:
        """How many schedules it keeps."""
        return len(self._tracks)

    @property
    def beat(self) -> float:
        """When it moved last, on the monotonic clock."""
        return max(self._beat, self._rounds.beat)

    def step(self, token: int | None, changes: int = 0) -> datetime | None:
        """Fire what is due; when to call again, at the latest, None when nothing will be due.

        `token` is that of the lease, None for a standby; `changes` is the number of the last change of
        schedules that is known of. What is away is tried again in time; other errors are raised.
        """
        self._beat = time.monotonic()
        if self._clock_was_moved():
            self.rest()  # what it did by a clock that was wrong is looked at anew
        if token != self._token:
            self.rest()
        if token is None:
            return None
        if not self._sure():
            return self._clock() + timedelta(seconds=UNSURE_S)
        try:
            if self._token is None:
                self._lead(token)
            self._save()
            if changes > self._change:
                self._refresh()
            self._rounds.fire_due()
            self._save()
            self._rounds.look_back()
            self._examine_some()
            self._save()
        except LeaseTaken:
            self.rest()
            self._lost()
            return None
        except (DatabaseUnavailable, KeyUnavailable) as error:
            return self._clock() + timedelta(seconds=self._database.failed(error))
        self._database.over()
        now, due = self._clock(), self._rounds.next()
        if self._unexamined:
            return now
        return None if due is None else max(datetime.fromtimestamp(due, UTC), now)

    def _clock_was_moved(self) -> bool:
        before, self._offset = self._offset, self._clock().timestamp() - self._steady()
        if before is None or abs(self._offset - before) <= MOVED_S:
            return False
        logger.warning("The clock was moved by %+.0f s; all schedules are read again.", self._offset - before)
        return True

    def rest(self) -> None:
        """Forget everything: somebody else fires what is due, and tells of it. Of jobs that only this process
        has made nobody else can."""
        created = self._rounds.clear()
        self._token, self._tracks, self._unexamined, self._flaws = None, {}, {}, {}
        if created:
            try:
                ScheduleHistory(self._app.engine()).add(created)
            except DatabaseUnavailable as error:
                logger.error("%d ticks were fired, but that is not in their history: %s", len(created), error)

    # What there is

    def _lead(self, token: int) -> None:
        rows, _, number = self._schedules.changed_since(-1)
        found = reconcile(self._app, rows, declared(self._app), self._clock())
        if found.new or found.changed or found.ticks:
            self._schedules.reconcile(token, found.new, found.changed, found.ticks)
        self._change = number
        tracks = [track for entry in found.entries if (track := self._track_of(entry)) is not None]
        self._rounds.follow(tracks, self._clock())
        self._token = token

    def _refresh(self) -> None:
        changes = self._schedules.changed_since(self._change)
        known, now = declared(self._app), self._clock()
        for name in self._tracks.keys() - changes.names:
            self._take_back(self._drop(name), now, "it was deleted")
        new = [self._put_back(known[name], now) for name in sorted(known.keys() - changes.names)]
        moved: dict[str, dict[str, Any]] = {}
        for changed in [*changes.rows, *new]:
            row = changed
            if row.cursor > now + FUTURE:
                row = self._pulled_back(row, now)
                moved[row.name] = {"cursor": now}
            before = self._drop(row.name)
            entry = entry_of(self._app, row, known.get(row.name), examine=False)
            self._take_back(before, now, "it was changed" if entry.fires else _why_not(entry))
            if (track := self._track_of(entry)) is not None:
                track.tried = before.tried if before is not None else None
                self._rounds.follow([track], now)
        if (new or moved) and self._token is not None:
            self._schedules.reconcile(self._token, new, moved)
        self._change = changes.number

    def _put_back(self, schedule: Schedule, now: datetime) -> StoredSchedule:
        logger.warning(
            "The row of schedule %s is gone, but %s declares it: it is put back, and begins now.",
            schedule.name,
            schedule.source.value,
        )
        return new_row(self._app, schedule, now, schedule.source.value)

    def _pulled_back(self, row: StoredSchedule, now: datetime) -> StoredSchedule:
        logger.warning(
            "Schedule %s was done with until %s, which is to come; it goes on from now.", row.name, row.cursor
        )
        return row.altered(cursor=now)

    def _take_back(self, track: Track | None, now: datetime, why: str) -> None:
        """Withdraw what was handed over early. Its cursor was put back by who made the change, and what was
        handed over since has not moved it."""
        if track is not None:
            take_back(self._app, track.schedule, handed_over(track.schedule, now), why)

    def _track_of(self, entry: Entry) -> Track | None:
        """Note a schedule; what is to be followed of it."""
        if not entry.examined:
            self._unexamined[entry.name] = entry
        schedule = entry.schedule
        if schedule is None or not entry.fires:
            return None
        actor = self._app.broker.actors.get(schedule.actor)
        queue = actor.queue_name if actor is not None else "default"
        memory_s = self._app.rules_of(queue).id_memory_ms / 1000 - MEMORY_MARGIN_S
        track = Track(entry, schedule, self._app.store.shard_of(queue), memory_s)
        self._tracks[entry.name] = track
        return track

    def _drop(self, name: str) -> Track | None:
        self._unexamined.pop(name, None)
        self._flaws.pop(name, None)
        track = self._tracks.pop(name, None)
        if track is not None:
            track.dead = True
        return track

    # Whether they fit here

    def _examine_some(self) -> None:
        """Look at schedules that were not looked at yet, for a little while: with thousands that takes longer
        than what is due now may wait."""
        began = time.monotonic()
        while self._unexamined and time.monotonic() - began < EXAMINE_S:
            self._examine(next(iter(self._unexamined)))

    def _examine_track(self, track: Track) -> None:
        if track.entry.name in self._unexamined:
            self._examine(track.entry.name)

    def _examine(self, name: str) -> None:
        before = self._unexamined.pop(name)
        entry = examined(self._app, before)
        row = with_flaw(entry, self._clock(), was_on=before.row.enabled)
        if row is not entry.row:
            self._flaws[name] = {"flaw": row.flaw, "flawed_at": row.flawed_at}
        if (track := self._tracks.get(name)) is not None:
            track.entry = replace(entry, row=row)

    # Storing

    def _save(self) -> None:
        unsaved = self._rounds.unsaved
        if self._token is None:
            return
        if unsaved:
            self._schedules.advance(
                self._token, unsaved.cursors, unsaved.rows, unsaved.replaced, seen=self._change
            )
            self._rounds.unsaved = Unsaved()
        if self._flaws:
            self._schedules.reconcile(self._token, [], self._flaws)
            self._flaws = {}

    @property
    def _schedules(self) -> Schedules:
        return Schedules(self._app.engine())


def _why_not(entry: Entry) -> str:
    row = entry.row
    if row.paused_at is not None:
        return f"paused by {row.paused_by}" if row.paused_by else "it was paused"
    return "it is not declared any more" if row.gone else "it was switched off"
