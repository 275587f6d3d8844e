"""Rounds: the schedules whose time has come, from their ticks to jobs, and what is away meanwhile.

What is on time comes first. Ticks of a downtime are looked at in the time that is left, a little in each
step.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from database.schedule_history import TickOutcome, TickRow
from scheduling.catch_up import Decision, decide
from scheduling.firing import AWAY, LATER, Due, Fired, fire_many, missed_row
from scheduling.line import BATCH, Line, Track
from scheduling.outage import Outage
from scheduling.unsaved import Unsaved

if TYPE_CHECKING:
    from actors.composition import App

logger = logging.getLogger("callboard.schedules")

SAY_AGAIN_S = 60.0
#: For a tick that is due by one clock and not yet by the other, in seconds.
A_MOMENT_S = 0.01
#: Ticks of a downtime are looked at for so long, in seconds, before it is seen what is due now.
LOOK_BACK_S = 0.2
LATE_BATCH = 50
#: With so many schedules looking at all they missed takes less than a tenth of a second.
FEW = 200
#: A tick whose actor this release does not know waits so long for one that does.
GRACE = timedelta(hours=1)
#: Ticks that wait are looked at so often, in seconds.
HELD_LOOK_S = 30.0
MISSED = "not fired in time"


class _Step(NamedTuple):
    """What one schedule does in a round: it is done with its ticks until `cursor`. Unless that is the `whole`
    of what is due, it goes on at `again`; it is told of ticks until `held` that they wait."""

    track: Track
    cursor: datetime
    whole: bool = True
    again: float | None = None
    held: datetime | None = None


class Rounds:
    """`sure` says whether nobody else can have the lease; `examine` looks whether a schedule fits here that
    was not looked at yet."""

    def __init__(
        self,
        app: "App",
        sure: Callable[[], bool],
        clock: Callable[[], datetime],
        examine: Callable[[Track], None],
    ) -> None:
        self.beat = time.monotonic()
        self.unsaved = Unsaved()
        self._app = app
        self._sure = sure
        self._clock = clock
        self._examine = examine
        self._line = Line()
        self._late = Line()
        self._stores: dict[str, Outage] = {}
        self._again: dict[str, float] = {}  # when a store that is away is tried again
        self._said: dict[str, float] = {}

    def follow(self, tracks: Sequence[Track], now: datetime) -> None:
        """Fire their ticks from now on. Of more than a `FEW` what is on time comes before what is late."""
        old = [track for track in tracks if track.old(now)]
        if len(old) > FEW:
            for track in old:
                track.leave_behind(now)
        for track in tracks:
            self._line.add(track)
            if track.behind:
                self._late.push(track, 0.0)

    def next(self) -> float | None:
        """When something is to be done again, in seconds since 1970."""
        return min((at for at in (self._line.next(), self._late.next()) if at is not None), default=None)

    def clear(self) -> list[TickRow]:
        """Forget all schedules; the rows of jobs that were made, and are not stored."""
        created = self.unsaved.created
        self.unsaved, self._line, self._late = Unsaved(), Line(), Line()
        return created

    def fire_due(self) -> None:
        """Fire what is due."""
        while self._sure():
            self.beat = time.monotonic()
            now = self._clock()
            batch = self._line.pop(now.timestamp())
            if not batch:
                return
            for shard, tracks in _by_shard(batch).items():
                self._fire(shard, tracks, now, self._line)

    def look_back(self) -> None:
        """Fire what was missed and is caught up, for a little while."""
        began = time.monotonic()
        while self._sure() and time.monotonic() - began < LOOK_BACK_S:
            self.beat = time.monotonic()
            now = self._clock()
            batch = self._late.pop(now.timestamp(), LATE_BATCH)
            if not batch:
                return
            for shard, tracks in _by_shard(batch).items():
                self._fire(shard, tracks, now, self._late)

    # Inside

    def _fire(self, shard: str, tracks: list[Track], now: datetime, line: Line) -> None:
        outage = self._stores.setdefault(shard, Outage("Ticks wait for the job store"))
        if (again := self._again.get(shard, 0.0)) > now.timestamp():
            for track in tracks:
                self._wait(track, again, now, line)  # with those that wait already
            return
        steps: list[_Step] = []
        dues: list[Due] = []
        rows: list[TickRow] = []
        for track in tracks:
            step = self._begun(track, now, line, dues, rows)
            if step is not None:
                steps.append(step)
        try:
            fired = list(self._in_chunks(dues))
        except AWAY as error:
            again = self._again[shard] = now.timestamp() + outage.failed(error)
            for step in steps:
                self._wait(step.track, again, now, line)
            return
        except LATER as error:
            if len(steps) > 1:  # one of them; the others need not wait
                for step in steps:
                    self._fire(shard, [step.track], now, line)
                return
            for step in steps:
                self._wait(step.track, now.timestamp() + step.track.outage.failed(error), now, line)
            return
        outage.over()
        self._again.pop(shard, None)
        self._note(steps, rows, fired, now, line)

    def _begun(
        self, track: Track, now: datetime, line: Line, dues: list[Due], rows: list[TickRow]
    ) -> _Step | None:
        """What is to be done of one schedule; None when that is nothing."""
        late = line is self._late
        if late and not track.behind:
            return None
        decision = self._looked_back(track, now) if late else self._decided(track, now)
        if decision.done is None:
            if late:
                self._caught_up(track, moved=False)
            else:
                line.push(track, now.timestamp() + A_MOMENT_S)
            return None
        self._examine(track)
        schedule, fire, cursor = track.schedule, decision.fire, decision.done
        if schedule.actor not in self._app.broker.actors and fire:
            return self._held(track, decision, now, line, rows)
        if decision.last_missed is not None:
            rows.append(missed_row(schedule, decision.missed, decision.last_missed, now, MISSED))
        whole = len(fire) <= BATCH
        if not whole:
            fire = fire[:BATCH]
            cursor = fire[-1]
        if track.entry.flaw is None:
            dues += [Due(schedule, tick) for tick in fire]
        else:
            rows += [self._refused(track, tick, now, track.entry.flaw) for tick in fire]
        return _Step(track, cursor, whole)

    def _decided(self, track: Track, now: datetime) -> Decision:
        horizon = now + timedelta(seconds=track.ahead)
        return decide(track.schedule, track.since, now, horizon, track.memory_s, track.tried)

    def _looked_back(self, track: Track, now: datetime) -> Decision:
        """What was to be done when it was left behind, without what was on time then."""
        at, split = track.split_at or now, track.split or track.cursor
        memory_s = track.memory_s - (now - at).total_seconds()
        decision = decide(track.schedule, track.cursor, at, at, memory_s)
        fire = [tick for tick in decision.fire if tick <= split]
        missed = decision.last_missed is not None
        return decision._replace(fire=fire, done=split if fire or missed else None)

    def _held(
        self, track: Track, decision: Decision, now: datetime, line: Line, rows: list[TickRow]
    ) -> _Step:
        """Its actor is not here. Another release may know it, and take over: for a while its ticks wait."""
        schedule, why = track.schedule, track.entry.flaw or "its actor is not known here"
        begun = track.tried or now  # before, nobody was there whom it could have waited for
        over = [
            tick for tick in decision.fire if max(begun, schedule.plan.due(schedule.name, tick)) < now - GRACE
        ]
        held = decision.fire[len(over) :]
        cursor = track.cursor if line is self._late else track.since
        if decision.last_missed is not None:
            cursor = decision.last_missed
            rows.append(missed_row(schedule, decision.missed, cursor, now, MISSED))
        rows += [self._refused(track, tick, now, why) for tick in over]
        new = [tick for tick in held if track.held is None or tick > track.held]
        rows += [self._refused(track, tick, now, why, TickOutcome.WAITS) for tick in new]
        if not held:
            return _Step(track, decision.done or cursor)
        return _Step(track, over[-1] if over else cursor, False, now.timestamp() + HELD_LOOK_S, held[-1])

    def _wait(self, track: Track, until: float, now: datetime, line: Line) -> None:
        track.tried = track.tried or now
        line.push(track, until)

    def _in_chunks(self, dues: list[Due]) -> Iterable[Fired]:
        for at in range(0, len(dues), BATCH):
            self.beat = time.monotonic()
            yield from fire_many(self._app, dues[at : at + BATCH], self._clock())

    def _note(
        self, steps: list[_Step], rows: list[TickRow], fired: list[Fired], now: datetime, line: Line
    ) -> None:
        for step in steps:
            step.track.served()
            self._go_on(step, now, line)
        self.unsaved.rows += rows
        for one in fired:
            self.unsaved.add(one)
            if one.outcome is TickOutcome.REFUSED:
                self._complain(one.schedule, "is refused", one.note)

    def _go_on(self, step: _Step, now: datetime, line: Line) -> None:
        track, cursor = step.track, step.cursor
        if step.held is not None:
            track.held = max(step.held, track.held or step.held)
            track.tried = track.tried or now
        if line is self._late:
            if step.whole:
                self._caught_up(track, moved=True)
                return
            self._stored(track, cursor)
            line.push(track, step.again or 0.0)
            return
        if step.whole and not track.behind:
            track.tried = None
        track.since = cursor
        if not track.behind:
            self._stored(track, cursor)
        if step.again is None:
            line.add(track)
        else:
            line.push(track, step.again)

    def _caught_up(self, track: Track, *, moved: bool) -> None:
        """Nothing of the downtime is left to be looked at."""
        moved = moved or track.since != track.split
        track.split = track.split_at = None
        if moved:
            self._stored(track, track.since)
        else:
            track.cursor = track.since

    def _stored(self, track: Track, cursor: datetime) -> None:
        if cursor > track.cursor:
            track.cursor = cursor
            self.unsaved.cursors[track.schedule.name] = cursor

    def _refused(
        self,
        track: Track,
        tick: datetime,
        now: datetime,
        why: str,
        outcome: TickOutcome = TickOutcome.REFUSED,
    ) -> TickRow:
        schedule = track.schedule
        self._complain(schedule.name, "is refused" if outcome is TickOutcome.REFUSED else "waits", why)
        due = schedule.plan.due(schedule.name, tick)
        return Fired(schedule.name, tick, due, outcome, None, now, why).row()

    def _complain(self, name: str, what: str, why: str) -> None:
        """A tick is not fired: an error in the log, for one schedule no more than one a minute."""
        now = time.monotonic()
        if now - self._said.get(name, -SAY_AGAIN_S) >= SAY_AGAIN_S:
            self._said[name] = now
            logger.error("A tick of schedule %s %s: %s", name, what, why)


def _by_shard(tracks: list[Track]) -> dict[str, list[Track]]:
    found: dict[str, list[Track]] = {}
    for track in tracks:
        found.setdefault(track.shard, []).append(track)
    return found
