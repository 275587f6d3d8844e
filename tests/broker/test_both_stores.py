"""Random steps on the memory store and on Redis, side by side: after each they say the same.

After each step every job on Redis is in exactly one set, and the counts equal a full count.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from broker.connection import RedisAddress
from broker.redis_store import RedisStore
from jobs.memory import MemoryStore
from jobs.model import Event, FetchedJob, FetchRequest, Job, NewJob, Outcome, Retention, Verdict
from jobs.states import JobState
from tests.broker.census import check_census

QUEUES = ("email", "email-sync")
DEAD = "dead-letter"
LONG, LONGER = 600_000, 1_200_000  # never over while a test runs
queues = st.sampled_from(QUEUES)
owners = st.sampled_from(["w1", "w2", "doomed"])
ids = st.sampled_from([f"job-{n}" for n in range(8)])
ends = st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.LOST])


class BothStores(RuleBasedStateMachine):
    """Redis' clock cannot be moved, so delays and leases are either over at once or for ever."""

    def __init__(self, address: RedisAddress) -> None:
        super().__init__()
        self.now = 1_800_000_000_000
        self.address = address
        self.memory = MemoryStore(lambda: self.now)
        self.redis = RedisStore(lambda: address, f"model-{uuid.uuid4().hex[:12]}")
        self.client = redis.Redis.from_url(address.url)
        self.deliveries: list[tuple[str, FetchedJob]] = []
        self.requests: list[FetchRequest] = []

    def teardown(self) -> None:
        keys = list(self.client.scan_iter(match=f"{self.redis.keys.namespace}:*", count=1000))
        if keys:
            self.client.delete(*keys)
        self.client.close()
        self.redis.close()

    # Steps

    @rule(
        chosen=st.lists(ids, min_size=1, max_size=4),
        queue=queues,
        priority=st.integers(1, 10),
        attempts=st.integers(1, 3),
        delay=st.sampled_from([0, 0, 0, LONG, LONGER]),
        run_at=st.sampled_from([None, None, 1]),
        lane=st.sampled_from(["", "acme", "zeta"]),
    )
    def enqueue(
        self,
        chosen: Sequence[str],
        queue: str,
        priority: int,
        attempts: int,
        delay: int,
        run_at: int | None,
        lane: str,
    ) -> None:
        jobs = [
            NewJob(job_id, queue, "actor", job_id.encode(), priority, attempts, lane, delay, run_at)
            for job_id in chosen
        ]
        self.step()
        assert self.redis.enqueue(jobs) == self.memory.enqueue(jobs)

    @rule(
        owner=owners,
        queue=queues,
        credits=st.integers(1, 4),
        share=st.integers(1, 3),
        cap=st.sampled_from([None, None, 1, 2]),
    )
    def fetch(self, owner: str, queue: str, credits: int, share: int, cap: int | None) -> None:
        self.ask(FetchRequest(owner, uuid.uuid4().hex, credits, {queue: (share, cap)}, lease_of(owner)))

    @rule(owner=owners, cap=st.sampled_from([None, 1]))
    def fetch_from_all(self, owner: str, cap: int | None) -> None:
        shares = dict.fromkeys(QUEUES, (3, cap))
        self.ask(FetchRequest(owner, uuid.uuid4().hex, 6, shares, lease_of(owner)))

    @rule(pick=st.integers(0, 1_000))
    def fetch_again(self, pick: int) -> None:
        """The reply was lost, and the process has asked for nothing else since."""
        last = {request.owner: request for request in self.requests}
        if last:
            self.ask(list(last.values())[pick % len(last)])

    def ask(self, request: FetchRequest) -> None:
        self.step()
        ours, theirs = self.redis.fetch(request), self.memory.fetch(request)
        for queue in QUEUES:
            assert [told(job) for job in ours.jobs if job.queue == queue] == [
                told(job) for job in theirs.jobs if job.queue == queue
            ]
        assert set(ours.more) == set(theirs.more)
        assert (ours.next_due is None) == (theirs.next_due is None)
        self.requests.append(request)
        self.deliveries += [(request.owner, job) for job in ours.jobs]

    @rule(
        picks=st.lists(st.tuples(st.integers(0, 1_000), ends), min_size=1, max_size=4),
        delay=st.sampled_from([0, LONG]),
        record=st.sampled_from([None, b'{"result":1}']),
        progress=st.sampled_from([None, b'{"percent":100}']),
        keep=st.sampled_from([None, None, 0, 2]),
        newest=st.booleans(),
    )
    def settle(
        self,
        picks: Sequence[tuple[int, Outcome]],
        delay: int,
        record: bytes | None,
        progress: bytes | None,
        keep: int | None,
        newest: bool,
    ) -> None:
        """Of one owner's deliveries, old and new: late and repeated settlements too."""
        if not self.deliveries:
            return
        known = self.deliveries[-4:] if newest else self.deliveries
        owner = known[picks[0][0] % len(known)][0]
        mine = [job for who, job in known if who == owner]
        chosen = [(mine[pick % len(mine)], outcome) for pick, outcome in picks]
        verdicts = [
            Verdict(job.id, job.token, outcome, delay, record, b'{"reason":"x"}', progress, DEAD, keep)
            for job, outcome in chosen
        ]
        self.step()
        assert self.redis.settle(owner, verdicts) == self.memory.settle(owner, verdicts)

    @rule(pick=st.integers(0, 1_000), outcome=ends)
    def settle_what_another_holds(self, pick: int, outcome: Outcome) -> None:
        if self.deliveries:
            _, job = self.deliveries[pick % len(self.deliveries)]
            verdict = Verdict(job.id, job.token, outcome)
            self.step()
            assert self.redis.settle("thief", [verdict]) == self.memory.settle("thief", [verdict])

    @rule(max_lost=st.integers(1, 3))
    def reclaim(self, max_lost: int) -> None:
        self.step()
        assert self.redis.reclaim(max_lost) == self.memory.reclaim(max_lost)

    @rule(owner=owners)
    def leave(self, owner: str) -> None:
        self.step()
        self.redis.leave(owner)
        self.memory.leave(owner)

    @rule(owner=st.sampled_from(["w1", "w2"]))
    def renew(self, owner: str) -> None:
        assert self.redis.renew(owner, LONG) == self.memory.renew(owner, LONG)

    @rule(chosen=st.lists(ids, max_size=3), percent=st.integers(0, 99))
    def report_progress(self, chosen: Sequence[str], percent: int) -> None:
        updates = dict.fromkeys(chosen, b"%d" % percent)
        self.redis.report_progress(updates)
        self.memory.report_progress(updates)

    @rule(queue=queues)
    def flush(self, queue: str) -> None:
        self.step()
        assert self.redis.flush(queue) == self.memory.flush(queue)

    @rule(queue=queues, completed=st.sampled_from([0, LONG]), failed=st.sampled_from([0, LONG]))
    def trim(self, queue: str, completed: int, failed: int) -> None:
        rules = {queue: Retention(completed, failed)}
        self.step()
        assert self.redis.trim(rules) == self.memory.trim(rules)

    # After each step

    @invariant()
    def both_know_the_same_jobs(self) -> None:
        for number in range(8):
            ours, theirs = self.redis.get(f"job-{number}"), self.memory.get(f"job-{number}")
            assert (ours and seen(ours)) == (theirs and seen(theirs))
        for owner in ("w1", "w2", "doomed"):
            assert self.redis.owned(owner) == self.memory.owned(owner)

    @invariant()
    def both_list_them_in_the_same_order(self) -> None:
        for queue in QUEUES:
            for state in JobState:
                ours = [job.id for job in self.redis.list_jobs(queue, state)]
                theirs = [job.id for job in self.memory.list_jobs(queue, state)]
                if state is JobState.ACTIVE:
                    ours, theirs = sorted(ours), sorted(theirs)
                assert ours == theirs, (queue, state)

    @invariant()
    def both_told_the_same_events(self) -> None:
        told = []
        for store in (self.redis, self.memory):
            events = store.read_events("audit", "model").events
            store.ack_events("audit", [event.id for event in events])
            told.append(sorted(map(noted, events)))
        assert told[0] == told[1]

    @invariant()
    def counts_equal_a_full_count(self) -> None:
        ours, theirs = self.redis.stats([*QUEUES, DEAD]), self.memory.stats([*QUEUES, DEAD])
        assert [counted(row) for row in ours] == [counted(row) for row in theirs]
        census = check_census(self.address, self.redis.keys)
        told = Counter({(row.queue, state): getattr(row, state) for row in ours for state in JobState})
        assert +told == census

    def step(self) -> None:
        """Move both clocks by at least a millisecond."""
        self.now += 1
        before = self.client.time()
        while self.client.time() < (before[0], before[1] + 1_000):
            pass


def test_both_stores_agree_after_every_step(redis_address: RedisAddress) -> None:
    run_state_machine_as_test(
        lambda: BothStores(redis_address),
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # thirty steps are short enough to read as they are
            suppress_health_check=list(HealthCheck),
        ),
    )


def lease_of(owner: str) -> int:
    return 0 if owner == "doomed" else LONG


def told(job: FetchedJob) -> tuple[Any, ...]:
    return tuple(value for name, value in zip(job._fields, job, strict=True) if not name.endswith("_at"))


def seen(job: Job) -> dict[str, Any]:
    """All that is told of a job, but of its times only whether they are there."""
    fields: dict[str, Any] = {name: getattr(job, name) for name in Job.__slots__}
    for name in fields:
        if name.endswith("_at"):
            fields[name] = fields[name] is not None
    error = orjson.loads(job.record).get("error") if job.record else None
    return fields | {"record": error["type"]} if error else fields


def noted(event: Event) -> tuple[Any, ...]:
    times = (event.created_at, event.ready_at, event.started_at, event.finished_at)
    assert times == tuple(sorted(times)), event
    return tuple(
        value > 0 if name.endswith("_at") else value
        for name, value in zip(event._fields[1:], event[1:], strict=True)
    )


def counted(row: Any) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in row.__slots__}
    return fields | {"oldest_waiting_ms": row.oldest_waiting_ms is not None}
