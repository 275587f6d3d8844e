"""Fires what is due. One thread calls `step`; the clock, the lease and both stores are handed in.

A tick is handed over first, then its cursor and its history move in one transaction that the lease's token
lets in. Whoever dies between leaves a tick that is handed over again, under the id that it has already.
"""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from database.errors import DatabaseUnavailable
from database.schedule_history import ScheduleHistory, TickOutcome, TickRow
from database.scheduler_lease import LeaseTaken
from database.schedules import Schedules
from jobs.errors import KeyUnavailable
from scheduling.catch_up import decide
from scheduling.declared import declared
from scheduling.entries import Entry, entry_of
from scheduling.firing import AWAY, LATER, Due, Fired, fire_many, missed_row, utc_now
from scheduling.leader import steady_clock
from scheduling.line import BATCH, Line, Track
from scheduling.outage import Outage
from scheduling.reconciling import reconcile, with_flaw

if TYPE_CHECKING:
    from actors.composition import App

logger = logging.getLogger("callboard.schedules")

#: Ids are remembered so much longer than ticks are caught up, in seconds.
MEMORY_MARGIN_S = 60.0
SAY_AGAIN_S = 60.0
#: A leader that could not renew its lease looks again so soon, in seconds.
UNSURE_S = 0.5
#: For a tick that is due by one clock and not yet by the other, in seconds.
A_MOMENT_S = 0.01
#: A clock that goes so much, in seconds, before or behind a steady one was moved.
MOVED_S = 60.0
MISSED = "not fired in time"


class Unsaved:
    """What has been done and is not in the database yet."""

    def __init__(self) -> None:
        self.cursors: dict[str, datetime] = {}
        self.rows: list[TickRow] = []
        self.replaced: list[tuple[str, str]] = []
        self.created: list[TickRow] = []

    def __bool__(self) -> bool:
        return bool(self.cursors or self.rows)


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
        self.beat = time.monotonic()
        self._app = app
        self._sure = sure
        self._lost = lost
        self._clock = clock
        self._steady = steady
        self._offset: float | None = None  # between the two
        self._token: int | None = None
        self._change = 0
        self._tracks: dict[str, Track] = {}
        self._line = Line()
        self._unsaved = Unsaved()
        self._database = Outage("Schedules wait for the database")
        self._stores: dict[str, Outage] = {}
        self._again: dict[str, float] = {}  # when a store that is away is tried again
        self._said: dict[str, float] = {}

    @property
    def count(self) -> int:
        """How many schedules it keeps."""
        return len(self._tracks)

    def step(self, token: int | None, changes: int = 0) -> datetime | None:
        """Fire what is due; when to call again, at the latest, None when nothing will be due.

        `token` is that of the lease, None for a standby; `changes` is the number of the last change of
        schedules that is known of. What is away is tried again in time; other errors are raised.
        """
        self.beat = time.monotonic()
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
            self._fire_due()
            self._save()
        except LeaseTaken:
            self.rest()
            self._lost()
            return None
        except (DatabaseUnavailable, KeyUnavailable) as error:
            return self._clock() + timedelta(seconds=self._database.failed(error))
        self._database.over()
        due = self._line.next()
        return None if due is None else datetime.fromtimestamp(due, UTC)

    def _clock_was_moved(self) -> bool:
        before, self._offset = self._offset, self._clock().timestamp() - self._steady()
        if before is None or abs(self._offset - before) <= MOVED_S:
            return False
        logger.warning("The clock was moved by %+.0f s; all schedules are read again.", self._offset - before)
        return True

    def rest(self) -> None:
        """Forget everything: somebody else fires what is due, and tells of it. Of jobs that only this process
        has made nobody else can."""
        created, self._unsaved = self._unsaved.created, Unsaved()
        self._token, self._tracks, self._line = None, {}, Line()
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
        for entry in found.entries:
            self._follow(entry)
        self._token = token

    def _refresh(self) -> None:
        changes = self._schedules.changed_since(self._change)
        known, flaws = declared(self._app), {}
        for name in self._tracks.keys() - changes.names:
            self._drop(name)
        for row in changes.rows:
            entry = entry_of(self._app, row, known.get(row.name))
            if (after := with_flaw(entry, self._clock())) != row and entry.flaw != row.flaw:
                flaws[row.name] = {"flaw": after.flaw, "flawed_at": after.flawed_at}
            before = self._drop(row.name)
            self._follow(entry)
            if before is not None and (after_it := self._tracks.get(row.name)) is not None:
                after_it.tried = before.tried
        if flaws and self._token is not None:
            self._schedules.reconcile(self._token, [], flaws)
        self._change = changes.number

    def _follow(self, entry: Entry) -> None:
        schedule = entry.schedule
        if schedule is None or not entry.fires:
            return
        actor = self._app.broker.actors.get(schedule.actor)
        queue = actor.queue_name if actor is not None else "default"
        memory_s = self._app.rules_of(queue).id_memory_ms / 1000 - MEMORY_MARGIN_S
        track = Track(entry, schedule, self._app.store.shard_of(queue), memory_s)
        self._tracks[entry.name] = track
        self._line.add(track)

    def _drop(self, name: str) -> Track | None:
        track = self._tracks.pop(name, None)
        if track is not None:
            track.dead = True
        return track

    # Firing

    def _fire_due(self) -> None:
        while self._sure():
            self.beat = time.monotonic()
            now = self._clock()
            batch = self._line.pop(now.timestamp())
            if not batch:
                return
            by_shard: dict[str, list[Track]] = {}
            for track in batch:
                by_shard.setdefault(track.shard, []).append(track)
            for shard, tracks in by_shard.items():
                self._fire_shard(shard, tracks, now)

    def _fire_shard(self, shard: str, tracks: list[Track], now: datetime) -> None:
        outage = self._stores.setdefault(shard, Outage("Ticks wait for the job store"))
        if (again := self._again.get(shard, 0.0)) > now.timestamp():
            for track in tracks:
                self._wait(track, again, now)  # with those that wait already
            return
        done: list[tuple[Track, datetime]] = []
        dues: list[Due] = []
        missed: list[TickRow] = []
        refused: list[TickRow] = []
        unfinished: set[Track] = set()
        for track in tracks:
            schedule = track.schedule
            horizon = now + timedelta(seconds=track.ahead)
            decision = decide(schedule, track.cursor, now, horizon, track.memory_s, track.tried)
            if decision.done is None:
                self._line.push(track, now.timestamp() + A_MOMENT_S)
                continue
            fire = decision.fire[:BATCH]
            cursor = decision.done
            if fire != decision.fire:
                cursor = fire[-1]
                unfinished.add(track)
            if decision.last_missed is not None:
                missed.append(missed_row(schedule, decision.missed, decision.last_missed, now, MISSED))
            if track.entry.flaw is None:
                dues += [Due(schedule, tick) for tick in fire]
            else:
                refused += [self._refuse(track, tick, now, track.entry.flaw) for tick in fire]
            done.append((track, cursor))
        try:
            fired = list(self._in_chunks(dues))
        except AWAY as error:
            again = self._again[shard] = now.timestamp() + outage.failed(error)
            for track, _ in done:
                self._wait(track, again, now)
            return
        except LATER as error:
            if len(done) > 1:  # one of them; the others need not wait
                for track, _ in done:
                    self._fire_shard(shard, [track], now)
                return
            for track, _ in done:
                self._wait(track, now.timestamp() + track.outage.failed(error), now)
            return
        outage.over()
        self._again.pop(shard, None)
        for track, _ in done:
            track.outage.over()
            if track not in unfinished:
                track.tried = None
        self._note(done, [*missed, *refused], fired)

    def _wait(self, track: Track, until: float, now: datetime) -> None:
        track.tried = track.tried or now
        self._line.push(track, until)

    def _in_chunks(self, dues: list[Due]) -> Iterable[Fired]:
        for at in range(0, len(dues), BATCH):
            self.beat = time.monotonic()
            yield from fire_many(self._app, dues[at : at + BATCH], self._clock())

    def _note(self, done: list[tuple[Track, datetime]], rows: list[TickRow], fired: list[Fired]) -> None:
        unsaved = self._unsaved
        for track, cursor in done:
            track.cursor = cursor
            unsaved.cursors[track.schedule.name] = cursor
            self._line.add(track)
        unsaved.rows += rows
        for one in fired:
            row = one.row()
            unsaved.rows.append(row)
            if one.created:
                unsaved.created.append(row)
            if one.replaced is not None and one.job_id is not None:
                unsaved.replaced.append((one.replaced, one.job_id))
            if one.outcome is TickOutcome.REFUSED:
                self._complain(one.schedule, one.note)

    def _refuse(self, track: Track, tick: datetime, now: datetime, why: str) -> TickRow:
        schedule = track.schedule
        self._complain(schedule.name, why)
        due = schedule.plan.due(schedule.name, tick)
        return Fired(schedule.name, tick, due, TickOutcome.REFUSED, None, now, why).row()

    def _complain(self, name: str, why: str) -> None:
        """A tick is refused: an error in the log, for one schedule no more than one a minute."""
        now = time.monotonic()
        if now - self._said.get(name, -SAY_AGAIN_S) >= SAY_AGAIN_S:
            self._said[name] = now
            logger.error("A tick of schedule %s is refused: %s", name, why)

    # Storing

    def _save(self) -> None:
        unsaved = self._unsaved
        if unsaved and self._token is not None:
            self._schedules.advance(self._token, unsaved.cursors, unsaved.rows, unsaved.replaced)
            self._unsaved = Unsaved()

    @property
    def _schedules(self) -> Schedules:
        return Schedules(self._app.engine())
