"""Random steps on the memory store and on Redis, side by side, with time as a variable: after each step
they say the same, and a full count of Redis' keys finds each job in one place and each counter true.

The memory store checks each move of a job against the table of transitions, so what both do is legal.
MODEL_EXAMPLES=400 makes the run longer: so many walks of STEPS steps.
"""

import os
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from broker.redis.connection import RedisAddress
from jobs.limits import News, Want
from jobs.memory import MemoryStore
from jobs.model import (
    FetchedJob,
    FetchRequest,
    Job,
    LogChunk,
    NewJob,
    Outcome,
    Retention,
    Scope,
    Verdict,
    WorkerInfo,
)
from jobs.rules import QueueRules
from jobs.states import JobState
from jobs.store import JobStore
from tests.broker import model
from tests.broker.census import census_with
from tests.broker.model import DEAD, GATES, LANES, LEASE_MS, LETTERS, OWNERS, QUEUES, SHORT_LEASE_MS
from tests.contract.clock import Clock, redis_store_with

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "16"))
STEPS = 40
CLEANABLE = [state for state in JobState if state is not JobState.ACTIVE]


class BothStores(RuleBasedStateMachine):
    def __init__(self, address: RedisAddress) -> None:
        super().__init__()
        self.clock = Clock()
        self.memory = MemoryStore(self.clock)
        self.redis = redis_store_with(self.clock, address, f"model-{uuid.uuid4().hex[:12]}")
        self.client = redis.Redis.from_url(address.url)
        self.known = list(model.IDS)
        self.deliveries: list[tuple[str, FetchedJob]] = []
        self.requests: dict[str, FetchRequest] = {}
        self.readers: tuple[str, ...] = ("audit",)
        self.changed = True

    def teardown(self) -> None:
        keys = list(self.client.scan_iter(match=f"{self.redis.keys.namespace}:*", count=1000))
        if keys:
            self.client.delete(*keys)
        self.client.close()
        self.redis.close()

    def both(self, verb: Callable[[JobStore], Any]) -> Any:
        """Do the same on both, a millisecond later than the last; returns what both answered."""
        self.clock.advance(1)
        self.changed = True
        ours, theirs = verb(self.redis), verb(self.memory)
        assert ours == theirs
        return ours

    def ids(self, picks: Sequence[int]) -> list[str]:
        """Jobs that were enqueued lately, or long ago."""
        return [self.known[-1 - pick % len(self.known)] for pick in picks]

    # Time and rules

    @initialize(rules=model.some_rules, weights=model.some_weights, readers=st.booleans())
    def configure(self, rules: dict[str, QueueRules], weights: dict[str, float], readers: bool) -> None:
        self.both(lambda store: store.configure(rules, weights))
        self.readers = ("audit", "alerts") if readers else ("audit",)

    @rule(ms=st.sampled_from([1, 6, 500, 1_500, model.WINDOW_MS, 15_000, 31_000, 61_000, 130_000]))
    def time_goes_by(self, ms: int) -> None:
        self.clock.advance(ms)

    @rule(rules=model.some_rules, weights=model.some_weights)
    def configure_again(self, rules: dict[str, QueueRules], weights: dict[str, float]) -> None:
        """A new release, with other settings."""
        self.both(lambda store: store.configure(rules, weights))

    @rule(adjustment=model.adjustments)
    def adjust(self, adjustment: tuple[Scope, dict[str, object]]) -> None:
        self.both(lambda store: store.adjust(*adjustment))

    @rule(scope=model.scopes, ms=st.sampled_from([0, 1_000, 20_000]))
    def rest_or_wake(self, scope: Scope, ms: int) -> None:
        if ms:
            self.both(lambda store: store.rest(scope, ms, "out of order"))
        else:
            self.both(lambda store: store.wake(scope))

    # Limits that count while jobs run

    @rule(pick=st.integers(0, 1_000), wants=model.some_wants, request=st.sampled_from([0, 0, 1]))
    def acquire(self, pick: int, wants: list[Want], request: int) -> None:
        if self.deliveries:
            owner, job = self.deliveries[-1 - pick % min(6, len(self.deliveries))]
            told = [model.want_of(job, want) for want in wants]
            # That a permit is short only Redis measures, where waiting for it may take longer than it lasts.
            self.both(
                lambda store: store.acquire(
                    owner, job.id, job.token, told, queue=job.queue, request=request
                )._replace(brief=False)
            )

    @rule(pick=st.integers(0, 1_000))
    def give_back(self, pick: int) -> None:
        if self.deliveries:
            _, job = self.deliveries[-1 - pick % len(self.deliveries)]
            self.both(lambda store: store.give_back(job.id, job.token, 1, queue=job.queue))

    @rule(limit=st.sampled_from([1, 3, None]))
    def set_limit(self, limit: int | None) -> None:
        self.both(lambda store: store.set_limit("at-once", None, {"limit": limit}))

    @rule(news=st.sampled_from([*News]), probe=st.booleans())
    def hear_of_a_provider(self, news: News, probe: bool) -> None:
        self.both(
            lambda store: store.provider_news("gmail", news, model.BREAKER, queue=QUEUES[0], probe=probe)
        )
        self.both(lambda store: store.provider_states(["gmail"]))

    @rule()
    def ask_for_limits(self) -> None:
        self.both(lambda store: store.limit_states(model.LIMIT_RULES))

    # Producers

    @rule(jobs=st.lists(model.new_jobs, min_size=1, max_size=6))
    def enqueue(self, jobs: Sequence[NewJob]) -> None:
        self.both(lambda store: store.enqueue(jobs))

    @rule(
        job=model.new_jobs,
        number=st.integers(4, 60),
        by=st.integers(1, 5),
        differ=st.sampled_from(["not", "lanes", "lanes", "queues"]),
    )
    def enqueue_a_crowd(self, job: NewJob, number: int, by: int, differ: str) -> None:
        """Of many lanes, gates and bands, or of all queues, so that order is at stake; or all alike."""
        jobs = []
        for n in range(0, number * by, by):
            new = job._replace(id=f"{self.clock.now}-{n}", unique=None, run_at_ms=None)
            if differ == "queues":
                new = new._replace(queue=QUEUES[n % 3], delay_ms=0)
            elif differ == "lanes":
                lane, gate, priority = LANES[n % 3], GATES[n // 3 % 4], (5, 5, 1, 9)[n // 5 % 4]
                new = new._replace(lane=lane, gate=gate, priority=priority)
            jobs.append(new)
        self.both(lambda store: store.enqueue(jobs))
        self.known += [new.id for new in jobs]

    # Workers

    @rule(
        owner=model.owners,
        credits=st.sampled_from([0, 1, 3, 10, 50]),
        rooms=st.dictionaries(model.queues, st.sampled_from([0, 1, 3, 40]), min_size=1),
        ahead=st.sampled_from([0, 0, 2]),
        busy=st.booleans(),
        lease=st.sampled_from([LEASE_MS, SHORT_LEASE_MS]),
    )
    def fetch(
        self, owner: str, credits: int, rooms: dict[str, int], ahead: int, busy: bool, lease: int
    ) -> None:
        self.ask(FetchRequest(owner, str(self.clock.now), credits, rooms, lease, ahead, busy))

    @rule(owner=model.owners, credits=st.integers(1, 8), busy=st.booleans())
    def fetch_from_all(self, owner: str, credits: int, busy: bool) -> None:
        self.ask(self.request(owner, credits, busy))

    def request(self, owner: str, credits: int, busy: bool) -> FetchRequest:
        return FetchRequest(owner, str(self.clock.now), credits, dict.fromkeys(QUEUES, 9), LEASE_MS, 0, busy)

    @rule(owner=model.owners)
    def fetch_again(self, owner: str) -> None:
        """The reply was lost, and the process has asked for nothing else since."""
        if owner in self.requests:
            self.ask(self.requests[owner])

    def ask(self, request: FetchRequest) -> list[FetchedJob]:
        fetched = self.both(lambda store: _in_one_order(store.fetch(request)))
        self.requests[request.owner] = request
        self.deliveries += [(request.owner, job) for job in fetched.jobs]
        jobs: list[FetchedJob] = fetched.jobs
        return jobs

    @rule(
        owner=model.owners,
        jobs=st.integers(2, 25),
        credits=st.sampled_from([1, 1, 3]),
        took=st.sampled_from([0, 30, 250]),
        outcome=st.sampled_from([Outcome.COMPLETED, Outcome.COMPLETED, Outcome.RETURNED, Outcome.RETRY]),
    )
    def work(self, owner: str, jobs: int, credits: int, took: int, outcome: Outcome) -> None:
        """Fetch and settle, again and again; the last ones stay in hand."""
        held: list[FetchedJob] = []
        for n in range(jobs):
            ended = [Verdict(job.id, job.token, outcome if n % 2 else Outcome.COMPLETED) for job in held]
            self.clock.advance(took)
            self.both(lambda store, ended=ended: store.settle(owner, ended))
            held = self.ask(self.request(owner, credits, False))

    @rule(
        picks=st.lists(st.tuples(st.integers(0, 1_000), model.verdicts), min_size=1, max_size=4),
        newest=st.booleans(),
    )
    def settle(self, picks: Sequence[tuple[int, Verdict]], newest: bool) -> None:
        """Of one owner's deliveries, old and new: late and repeated settlements too."""
        if not self.deliveries:
            return
        known = self.deliveries[-4:] if newest else self.deliveries
        owner = known[picks[0][0] % len(known)][0]
        mine = [job for who, job in known if who == owner]
        chosen = [(mine[pick % len(mine)], verdict) for pick, verdict in picks]
        verdicts = [verdict._replace(id=job.id, token=job.token) for job, verdict in chosen]
        self.both(lambda store: store.settle(owner, verdicts))

    @rule(owner=model.owners, verdict=model.verdicts)
    def settle_all_it_holds(self, owner: str, verdict: Verdict) -> None:
        held = self.both(lambda store: sorted(store.owned(owner).items()))
        verdicts = [verdict._replace(id=job_id, token=token) for job_id, token in held]
        self.both(lambda store: store.settle(owner, verdicts))

    @rule(pick=st.integers(0, 1_000), outcome=model.ends, percent=st.integers(0, 99))
    def settle_and_report_what_another_holds(self, pick: int, outcome: Outcome, percent: int) -> None:
        if self.deliveries:
            owner, job = self.deliveries[pick % len(self.deliveries)]
            self.both(lambda store: store.settle("thief", [Verdict(job.id, job.token, outcome)]))
            updates = {job.id: (job.token, b"%d" % percent), "unknown": (1, b"")}
            self.both(lambda store: store.report_progress(owner, updates))

    @rule(max_lost=st.integers(1, 3), limit=st.sampled_from([1, 100]))
    def reclaim(self, max_lost: int, limit: int) -> None:
        self.both(lambda store: store.reclaim(max_lost, limit))

    @rule(
        owner=model.owners,
        max_lost=st.integers(1, 4),
        takes=st.integers(0, 3),
        cancelled=st.booleans(),
        retried=st.booleans(),
    )
    def a_worker_dies(self, owner: str, max_lost: int, takes: int, cancelled: bool, retried: bool) -> None:
        """The others renew; its lease runs out."""
        self.ask(self.request(owner, takes, False))
        held = sorted(self.both(lambda store: store.owned(owner)))
        if cancelled:
            self.both(lambda store: store.cancel(held[:1]))
        for _ in range(LEASE_MS // 9_000 + 1):
            self.clock.advance(9_000)
            for other in OWNERS:
                if other != owner:
                    self.both(lambda store, other=other: store.renew(other, LEASE_MS))
        self.both(lambda store: store.reclaim(max_lost))
        if retried:
            self.both(lambda store: store.retry_dead(held))

    @rule(
        job=model.new_jobs,
        lost=st.integers(1, 4),
        differ=st.sampled_from(["not", "lanes"]),
        change=st.sampled_from([{}, {"paused": True}, {"cap": 1}, None]),
        fetches=st.lists(
            st.tuples(model.fleets, st.booleans(), model.turns_ms, st.none() | model.held | model.verdicts),
            min_size=2,
            max_size=12,
        ),
    )
    def race_for_suspects(
        self,
        job: NewJob,
        lost: int,
        differ: str,
        change: dict[str, object] | None,
        fetches: Sequence[tuple[str, bool, int, Verdict | None]],
    ) -> None:
        """A worker dies with jobs in hand; busy and empty processes want more, and some end what they get."""
        self.enqueue_a_crowd(job._replace(delay_ms=0, max_attempts=9), 8, 1, differ)
        self.a_worker_dies("w1", 5, lost, False, False)
        suspects = [job for queue in QUEUES for job in self.waiting(queue) if job.lost_leases]
        if suspects:
            lane = Scope(suspects[0].queue, suspects[0].lane, suspects[0].gate if change is None else "")
            if change is None:
                self.both(lambda store: store.rest(lane, 20_000, "out of order"))
            else:
                self.both(lambda store: store.adjust(lane, change))
        for owner in ("w4", "w5"):
            self.come_or_leave(owner, False)
        for owner, busy, ms, verdict in fetches:
            self.clock.advance(ms)
            jobs = self.ask(self.request(owner, 1, busy))
            if verdict is not None:
                ended = [verdict._replace(id=job.id, token=job.token) for job in jobs]
                self.both(lambda store, owner=owner, ended=ended: store.settle(owner, ended))

    @rule(owner=model.owners, leaves=st.booleans())
    def come_or_leave(self, owner: str, leaves: bool) -> None:
        worker = WorkerInfo(owner, "host", 1, "0.1.0", 8, QUEUES, started_at=0)
        if leaves:
            self.both(lambda store: store.leave(owner))
        else:
            self.both(lambda store: store.register(worker, LEASE_MS))

    # Operators and readers

    @rule(
        verb=st.sampled_from(
            ["promote", "cancel", "cancel", "remove", "withdraw", "retry_dead", "set_priority"]
        ),
        picks=model.picks,
        priority=st.integers(1, 10),
        ago=st.sampled_from([None, 1, 40, 2_000]),
    )
    def operate(self, verb: str, picks: Sequence[int], priority: int, ago: int | None) -> None:
        more: tuple[int | None, ...] = (priority,) if verb == "set_priority" else ()
        if verb == "retry_dead":
            more = (None if ago is None else self.clock.now - ago,)
        self.both(lambda store: getattr(store, verb)(self.ids(picks), *more))

    @rule(
        owner=model.owners,
        name=st.sampled_from(["a", "b"]),
        outcome=st.sampled_from([b"1", b"2"]),
        lasting=st.booleans(),
        number=st.integers(0, 3),
    )
    def note(self, owner: str, name: str, outcome: bytes, lasting: bool, number: int) -> None:
        """What runs, and what ran before, saves steps and logs lines."""
        late = [(job.id, job.token) for who, job in self.deliveries[-3:] if who == owner]
        held = self.both(lambda store: sorted(store.owned(owner).items()))[:2]
        for job_id, token in [*held, *late]:
            self.both(lambda s, j=job_id, t=token: s.save_step(owner, j, t, name, outcome, lasting=lasting))
            chunk = LogChunk(job_id, token, 1, number, 1, outcome * 30_000)
            self.both(lambda store, chunk=chunk: store.add_log(owner, [chunk]))
            self.both(lambda store, j=job_id: (list(store.steps(j).items()), store.logs(j)))

    @rule(picks=model.picks)
    def begin_anew(self, picks: Sequence[int]) -> None:
        self.both(lambda store: store.retry_dead(self.ids(picks), from_start=True))
        for job_id in self.ids(picks):
            self.both(lambda store, j=job_id: list(store.steps(j).items()))

    @rule(owner=model.owners, outcome=model.ends)
    def cancel_what_runs(self, owner: str, outcome: Outcome) -> None:
        held = self.both(lambda store: sorted(store.owned(owner).items()))[:3]
        self.both(lambda store: store.cancel([job_id for job_id, _ in held], "not wanted"))
        verdicts = [Verdict(job_id, token, outcome) for job_id, token in held[:2]]
        self.both(lambda store: store.settle(owner, verdicts))

    @rule(
        verb=st.sampled_from(["drain", "clean", "obliterate", "trim"]),
        queue=model.queues,
        state=st.sampled_from(CLEANABLE),
        age=st.sampled_from([0, 2, 30_000]),
        keep=st.sampled_from([None, 0, 1, 3]),
        limit=st.sampled_from([1_000, 1_000, 1, 4]),
    )
    def tidy(self, verb: str, queue: str, state: JobState, age: int, keep: int | None, limit: int) -> None:
        match verb:
            case "drain":
                self.both(lambda store: store.drain(queue, delayed=age > 0, limit=limit))
            case "clean":
                self.both(lambda store: store.clean(queue, state, age, keep or 0, limit))
            case "obliterate":
                while self.both(lambda store: store.obliterate(queue, limit)):
                    pass
            case _:
                self.both(lambda store: store.trim({queue: Retention(age, age, keep)}, limit))

    @rule(pick=st.integers(0, 3))
    def read_events(self, pick: int) -> None:
        if pick == 3:
            self.readers = ("audit",)
            self.both(lambda store: store.keep_readers(["audit"]))
        reader, told = self.readers[pick % len(self.readers)], []
        for store in (self.redis, self.memory):
            events = store.read_events(reader, "model", limit=100_000).events
            told.append([event._replace(id="") for event in events])
            store.ack_events(reader, [event.id for event in events])
        assert told[0] == told[1]

    @rule(picks=model.picks, queue=model.queues, state=st.sampled_from(JobState), limit=st.integers(1, 7))
    def look(self, picks: Sequence[int], queue: str, state: JobState, limit: int) -> None:
        for job_id in self.ids(picks):
            self.both(lambda store, job_id=job_id: store.standing(job_id))
        self.both(lambda store: list(_paged(store, queue, state, limit)))
        self.both(lambda store: sorted(store.lanes(queue), key=str))

    # After each step

    @invariant()
    def both_are_in_the_same_state(self) -> None:
        if self.changed:
            self.changed = False
            counts = self.compare_counts()
            self.compare_jobs(counts)

    def compare_jobs(self, counts: Counter[tuple[str, str]]) -> None:
        for queue, state in counts:
            ours, theirs = (
                _by_id(store.list_jobs(queue, JobState(state), limit=500), state)
                for store in (self.redis, self.memory)
            )
            assert ours == theirs, (queue, state)
        for queue in {queue for queue, _ in counts}:
            assert self.redis.lanes(queue, LANES) == self.memory.lanes(queue, LANES)
        for owner in OWNERS:
            assert self.redis.owned(owner) == self.memory.owned(owner)
            assert sorted(self.redis.cancels(owner)) == sorted(self.memory.cancels(owner))
        assert self.redis.adjustments() == self.memory.adjustments()
        assert sorted(self.redis.workers(), key=str) == sorted(self.memory.workers(), key=str)
        inside = model.inside_redis(self.redis, self.client, self.clock)
        assert inside == model.inside_memory(self.memory, self.clock)

    def waiting(self, queue: str) -> list[Job]:
        return self.memory.list_jobs(queue, JobState.WAITING, 500)

    def compare_counts(self) -> Counter[tuple[str, str]]:
        names = [*QUEUES, DEAD, LETTERS]
        ours, theirs = self.redis.stats(names), self.memory.stats(names)
        assert [_without_age(row) for row in ours] == [_without_age(row) for row in theirs]
        for row, exact in zip(ours, theirs, strict=True):
            # The oldest is looked for in the four lines that have been served most and least.
            assert (row.oldest_waiting_ms is None) == (exact.oldest_waiting_ms is None)
            if row.oldest_waiting_ms is not None and exact.oldest_waiting_ms is not None:
                assert row.oldest_waiting_ms <= exact.oldest_waiting_ms
                lines = len({(job.lane, job.gate, job.priority) for job in self.waiting(row.queue)})
                assert lines > 4 or row.resting or row.oldest_waiting_ms == exact.oldest_waiting_ms
        census = census_with(self.client, self.redis.keys, self.clock.now)
        told = Counter({(row.queue, state): getattr(row, state) for row in ours for state in JobState})
        assert +told == census
        return census


@pytest.mark.timeout(240 + 2 * EXAMPLES)
def test_both_stores_agree_after_every_step(redis_address: RedisAddress) -> None:
    run_state_machine_as_test(
        lambda: BothStores(redis_address),  # type: ignore[arg-type]  a factory will do
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # a failure is read as it is: making it smaller takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )


def _in_one_order(fetched: Any) -> Any:
    """The queues with work left come in any order."""
    return fetched._replace(more=tuple(sorted(fetched.more)))


def _by_id(jobs: list[Job], state: str) -> list[Job]:
    """What runs comes in any order, all else in the same."""
    return sorted(jobs, key=lambda job: job.id) if state == JobState.ACTIVE else jobs


def _without_age(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__ if name != "oldest_waiting_ms"}


def _paged(store: JobStore, queue: str, state: JobState, limit: int) -> Any:
    mark: str | None = ""
    while mark is not None:
        page, mark = store.scan(queue, state, limit, mark)
        assert len(page) <= limit
        yield from (job.id for job in page)
