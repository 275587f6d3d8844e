"""All that the in-memory store knows, and the moves of a job that several verbs have in common."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from jobs.events import AttemptDetail
from jobs.memory.caching import Cache
from jobs.memory.groups import Groups
from jobs.memory.limits import LimitName, Limits, Rest, gate_limit, lane_limit, queue_limit, share_limit
from jobs.memory.order import LineKey, Lines, Passed
from jobs.memory.policies import Policies
from jobs.memory.run_limits import RunLimits
from jobs.memory.shelf import Record, Shelf
from jobs.memory.stream import Stream
from jobs.memory.uniqueness import Uniqueness
from jobs.model import Event, Outcome, Scope, WorkerInfo
from jobs.states import JobState

#: A rest in drips that nobody comes to ends after so long.
DRIPS_KEPT_MS = 10_000


class Turn(NamedTuple):
    """A process that may run suspects: since when, when it was last heard of, and the suspect that runs there
    (empty: none yet)."""

    owner: str
    since: int
    heard: int
    job_id: str = ""


class Claim(NamedTuple):
    """Of suspects to the place under a cap of one: since when it is kept free (0: it was not free yet), when
    one was last met that may run, and how often it was kept in vain."""

    since: int
    met: int
    in_vain: int = 0


class Watch(NamedTuple):
    """Who looks at the timers, until when the others trust it, and from which time on it looks; and who shall
    leave it to others, and until when."""

    owner: str = ""
    until: int = 0
    due: int = 0
    stranger: str = ""
    stranger_until: int = 0


@dataclass
class Workers:
    """The worker processes, and what each was given last."""

    infos: dict[str, WorkerInfo] = field(default_factory=dict)
    leases: dict[str, int] = field(default_factory=dict)  # until when
    last_beat: int = 0  # of any of them
    requests: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    passed: dict[str, Passed] = field(default_factory=lambda: defaultdict(Passed))
    idle_until: dict[str, int] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    turns_in_vain: int = 0  # that were taken from a process that did not become empty
    claims: dict[LimitName, Claim] = field(default_factory=dict)
    watch: Watch = field(default_factory=Watch)

    def prolong(self, owner: str, lease_ms: int, now: int) -> None:
        self.leases[owner] = now + lease_ms
        self.last_beat = now

    def forget(self, owner: str) -> None:
        for known in (self.infos, self.leases, self.requests, self.passed, self.idle_until):
            known.pop(owner, None)
        if any(turn.owner == owner for turn in self.turns):
            self.turns = [turn for turn in self.turns if turn.owner != owner]
            self.turns_in_vain = self.turns_in_vain if self.turns else 0
        if self.watch.owner == owner:
            self.watch = Watch()


class Over(NamedTuple):
    """How a delivery ended for the limits that it took of: it did not run, or it waits for one."""

    unspent: bool = False
    waits: bool = False


class State:
    """Not safe for threads by itself; the store holds its lock. `now` stands still during a verb."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.now = clock()
        self.tick = 0
        self._last_place = 0
        self._last_moment = 0
        self.shelf = Shelf()
        self.lines = Lines()
        self.limits = Limits()
        self.running_limits = RunLimits()
        self.policies = Policies()
        self.unique = Uniqueness()
        self.cache = Cache()
        self.groups = Groups()
        self.stream = Stream()
        self.workers = Workers()
        self.ready: dict[str, tuple[int, str]] = {}  # queues with work, by when they were last served
        self.queue_timers: dict[str, int] = {}  # queues that are out of starts under their rate, until when
        self.suspects: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        self.held: dict[str, int] = {}  # jobs held by themselves, and until when
        self.costs: dict[tuple[str, str, str], float] = {}
        self.costs_until: dict[tuple[str, str, str], int] = {}  # when they are forgotten
        self.followed: dict[str, None] = {}  # queues that got jobs with the last verdicts
        self.over: dict[str, Over] = {}  # deliveries that the verb ends
        self.woken: dict[str, None] = {}  # queues in which the end of the last verb woke something
        self.totals: Counter[tuple[str, str]] = Counter()
        self.minutes: Counter[tuple[str, str, int]] = Counter()

    def begin(self) -> None:
        """A verb begins."""
        self.now = self._clock()
        self.tick += 1

    def end(self) -> None:
        """What slept for a place that has become free wakes."""
        self.woken, self.followed = self.followed, {}
        for name in self.limits.take_freed():
            self.wake_sleepers(name)

    def next_moment(self) -> int:
        """Later than any before it, in microseconds."""
        self._last_moment = max(self.now * 1000, self._last_moment + 1)
        return self._last_moment

    def next_place(self, index: int) -> int:
        """A place behind all others, for the job with this index in its call."""
        self._last_place = max(self.now * 1000 + index, self._last_place + 1)
        return self._last_place

    # Where a job stands that has not started

    def line_up(self, record: Record) -> None:
        """The job is waiting: put it into its line, or apart when it is a suspect."""
        job = record.job
        if record.suspect:
            self.suspects[job.queue].append(record.apart)
            self.suspects[job.queue].sort()
            return
        band = self.policies.band(job.queue, job.priority)
        record.line = LineKey(job.queue, band, job.lane, job.gate)
        if self.lines.add(record.line, record.entry):
            self.make_ready(job.queue)

    def reband(self, queue: str) -> None:
        """Put jobs that wait in bands of a former `priority_scope` where they belong now."""
        for line in self.lines.of(queue):
            for _, _, job_id in list(line.jobs):
                record = self.shelf.get(job_id)
                if record and line.key.band != self.policies.band(queue, record.job.priority):
                    self.step_away(record)
                    self.line_up(record)
        self.leave_ready_when_idle(queue)

    def step_away(self, record: Record) -> None:
        """Take a waiting job from where it stands; any other stands nowhere."""
        job = record.job
        if job.state is not JobState.WAITING:
            return
        if record.held:
            del self.held[job.id]
        elif record.suspect:
            self.suspects[job.queue].remove(record.apart)
        elif record.line is not None:
            self.lines.discard(record.line, record.entry)

    def to_waiting(self, record: Record, place: int, ready_at: int, **changes: object) -> None:
        """A job is ready from now on, with a new place."""
        record.place = place
        self.shelf.move(record, JobState.WAITING, due_at=None, ready_at=ready_at, owner=None, **changes)
        self.line_up(record)

    def hold(self, record: Record, until: int, reason: str) -> None:
        """The job, which runs in no line, waits by itself."""
        self.shelf.amend(record, held_until=until, held_reason=reason)
        self.held[record.job.id] = until

    def stop_holding(self, record: Record) -> None:
        self.step_away(record)
        self.shelf.amend(record, held_until=None, held_reason="")
        self.line_up(record)

    # Sleep and waking

    def end_of_rate(self, queue: str) -> None:
        """A queue that was out of starts has some again."""
        del self.queue_timers[queue]
        self.make_ready(queue)

    def make_ready(self, queue: str) -> None:
        """A queue with an awake line has its turn, unless all of it stands still."""
        if queue not in self.ready and not self.policies.paused(queue) and not self.queue_rests(queue):
            self.ready[queue] = (self.tick, queue)

    def leave_ready_when_idle(self, queue: str) -> None:
        if not self.lines.bands(queue):
            self.ready.pop(queue, None)

    def queue_rests(self, queue: str) -> bool:
        rest = self.limits.rests.get(Scope(queue))
        return rest is not None and rest.until > self.now

    def wake_line(self, key: LineKey) -> bool:
        """What still holds the line back is found when it is met. A gate of a lane that was awake brings its
        queue no turn: where it had none, the queue itself waits."""
        slept = not self.lines.awake(key.whole_lane)
        woke = self.lines.wake(key)
        if slept and self.lines.awake(key.whole_lane):
            self.make_ready(key.queue)
        return woke

    def wake_lines(self, scope: Scope) -> None:
        """A lane, or a gate, in each band; or all that there is of a queue."""
        for line in self.lines.of(scope.queue, scope.lane, None if scope.lane is None else scope.gate):
            self.wake_line(line.key)

    def wake_sleepers(self, name: LimitName) -> None:
        for sleeper in self.limits.take_sleepers(name):
            if isinstance(sleeper, LineKey):
                if self.wake_line(sleeper):
                    self.woken[sleeper.queue] = None
            elif self.lines.bands(sleeper):
                self.make_ready(sleeper)
                self.woken[sleeper] = None

    def rest(self, scope: Scope, rest: Rest) -> None:
        """Start nothing of a scope for a while; what is awake of it sleeps at once."""
        if self.limits.rest(scope, rest):
            self.put_to_rest(scope, rest.until)

    def put_to_rest(self, scope: Scope, until: int) -> None:
        if scope.lane is None:
            self.ready.pop(scope.queue, None)
        else:
            self.rest_lines(scope, until)

    def ring_rest(self, scope: Scope) -> None:
        """A rest is over. One in drips goes on for a while: what it lets start may ask for more."""
        rest = self.limits.rests.get(scope)
        if rest is None or rest.drips is None or rest.until == 0:
            self.end_rest(scope)
            return
        self.limits.rests[scope] = rest._replace(until=0, asked=0, kept_until=self.now + DRIPS_KEPT_MS)
        self.wake_what_rests(scope)

    def rest_lines(self, scope: Scope, until: int | None) -> None:
        for line in self.lines.of(scope.queue, scope.lane, scope.gate):
            if self.lines.may_rest(line):
                self.lines.rest(line, until)
        self.leave_ready_when_idle(scope.queue)

    def end_rest(self, scope: Scope) -> None:
        self.limits.rests.pop(scope, None)
        self.wake_what_rests(scope)

    def wake_what_rests(self, scope: Scope) -> None:
        if scope.lane is not None:
            self.wake_lines(scope)
        elif self.lines.bands(scope.queue):
            self.make_ready(scope.queue)

    # The end of a delivery, and of a job

    def caps_of(self, record: Record) -> list[LimitName]:
        """The caps that a job counts under while it is active."""
        job = record.job
        names = [queue_limit(job.queue), lane_limit(job.queue, job.lane)]
        if record.share:
            names.append(share_limit(record.share))
        if job.gate:
            names.append(gate_limit(job.lane, job.gate))
        return names

    def release(self, record: Record) -> None:
        self.over[record.job.id] = Over()
        for name in self.caps_of(record):
            self.limits.free(name)

    def finish(self, record: Record, state: JobState, dead_letter: str | None = None) -> None:
        """The job is settled."""
        self.shelf.move(
            record,
            state,
            finished_at=self.now,
            owner=None,
            due_at=None,
            held_until=None,
            held_reason="",
            dead_letter=dead_letter if state is JobState.FAILED else None,
        )
        self.totals[record.job.queue, state] += 1
        self.minutes[record.job.queue, state, self.now // 60_000] += 1
        self.unique.ended(record.new, self.now)

    def remove(self, record: Record) -> None:
        """The job leaves the store."""
        self.step_away(record)
        self.shelf.remove(record, self.now)
        self.unique.ended(record.new, self.now)

    def withdraw(self, record: Record) -> None:
        """The job was never sent."""
        self.step_away(record)
        self.shelf.remove(record, self.now)
        self.shelf.forget_marker(record.job.id)
        self.unique.withdrawn(record.new, self.now)

    def forget_queue(self, queue: str) -> None:
        """It has no jobs any more: its counters, rests and adjustments go too."""
        self.ready.pop(queue, None)
        self.queue_timers.pop(queue, None)
        self.policies.forget(queue)
        self.limits.forget(queue)
        self.lines.forget_starts(queue)
        for counts in (self.totals, self.minutes):
            for name in [name for name in counts if name[0] == queue]:
                del counts[name]

    def tell_of_forgery(self, record: Record) -> None:
        """Somebody put a job into a line that does not wait; it stays what it is."""
        problem = "a job that did not wait was put into a line"
        detail = AttemptDetail(
            error_type="ForgedMessage", error_code="forged", error_message=problem, reason=problem
        )
        job = record.job
        before = record.event
        self.tell(
            record,
            Outcome.FAILED,
            detail.to_bytes(),
            attempt=0,
            token=job.deliveries,
            owner="",
            ready_at=job.ready_at or 0,
            started_at=0,
        )
        record.event = before

    def tell(self, record: Record, outcome: Outcome, detail: bytes, **delivery: object) -> None:
        """Append the event of a delivery; `delivery` is what the job said of it while it ran."""
        job = record.job
        event = Event(
            id="",
            job_id=job.id,
            queue=job.queue,
            actor=job.actor,
            lane=job.lane,
            outcome=outcome,
            state=job.state,
            created_at=job.created_at,
            finished_at=self.now,
            detail=detail,
            **delivery,  # type: ignore[arg-type]
        )
        record.event = self.stream.append(event)
