"""What the model of both stores is made of: the values that its steps take, and a look inside both."""

from typing import Any

import msgpack
import redis
from hypothesis import strategies as st

from broker.redis.redis_store import RedisStore
from jobs.limits import Algorithm, BreakerTerms, By, LimitRule, Terms, WaitScope, Want, key_of
from jobs.memory import MemoryStore
from jobs.model import CacheEntry, FetchedJob, NewJob, Outcome, RestScope, Scope, Unique, UniqueMode, Verdict
from jobs.rules import QueueRules, Rate
from tests.contract.clock import Clock

QUEUES = ("email", "email-sync", "reports")
LANES = ("", "acme", "zeta")
GATES = ("", "", "imap", "one:import")
OWNERS = ("w1", "w2", "w3")
DEAD, LETTERS = "dead-letter", "letters"
IDS = tuple(f"job-{number}" for number in range(8))
WINDOW_MS = 5_000  # of all rates here
LEASE_MS, SHORT_LEASE_MS = 120_000, 15_000

queues = st.sampled_from((*QUEUES, QUEUES[0], QUEUES[0]))  # most meet in one
lanes, gates, owners = st.sampled_from(LANES), st.sampled_from(GATES), st.sampled_from(OWNERS)
#: So many that two of them may run suspects at once, and how long a turn may take.
fleets = st.sampled_from((*OWNERS, "w4", "w5"))
turns_ms = st.sampled_from([1, 1, 1, 9_000, 11_000, 601_000])
picks = st.lists(st.integers(0, 1_000), min_size=1, max_size=4)
ends = st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.LOST])
delays = st.sampled_from([0, 0, 0, 0, 1, 7, 1_500, 40_000])
caps = st.sampled_from([None, None, 1, 2])
rates = st.sampled_from([None, None, None, Rate(1, WINDOW_MS), Rate(3, WINDOW_MS)])
classes = st.sampled_from([1, 5, 5])
uniques = st.one_of(
    st.none(),
    st.builds(
        Unique, st.sampled_from(["k", "l"]), st.sampled_from(UniqueMode), st.sampled_from([0, 0, 3_000])
    ),
)
new_jobs = st.builds(
    NewJob,
    id=st.sampled_from(IDS),
    queue=queues,
    actor=st.sampled_from(["read", "write"]),
    payload=st.just(b"{}"),
    priority=st.sampled_from([1, 5, 5, 5, 9]),
    max_attempts=st.integers(1, 4),
    lane=lanes,
    delay_ms=delays,
    run_at_ms=st.sampled_from([None, None, None, 1]),
    dead_letter=st.sampled_from([DEAD, LETTERS]),
    gate=gates,
    unique=uniques,
    marker_ms=st.sampled_from([0, 1_000, 120_000]),
)
queue_rules = st.builds(
    QueueRules,
    global_concurrency=caps,
    rate=rates,
    share=st.sampled_from(["", "", "mail"]),
    priority=classes,
    priority_scope=st.sampled_from(["queue", "lane"]),
    fairness=st.sampled_from(["jobs", "jobs", "time"]),
    lane_concurrency=caps,
    lane_rate=rates,
    gate_concurrency=caps,
    gate_rate=rates,
)
free = st.builds(lambda priority: QueueRules(priority=priority), classes)
some_rules = st.one_of(
    st.fixed_dictionaries(dict.fromkeys(QUEUES, free)),
    st.fixed_dictionaries(dict.fromkeys(QUEUES, queue_rules)),
)
some_weights = st.fixed_dictionaries({}, optional={"acme": st.sampled_from([0.5, 2.0])})
scopes = st.builds(
    lambda queue, lane, gate: Scope(queue, lane, gate if lane is not None else ""),
    queues,
    st.sampled_from([None, *LANES]),
    gates,
)
queue_changes = st.fixed_dictionaries(
    {},
    optional={
        "paused": st.sampled_from([True, False, None]),
        "priority": st.sampled_from([1, 9, None]),
        "cap": st.sampled_from([0, 1, 3, None]),
        "rate": st.sampled_from([0, Rate(2, WINDOW_MS), None]),
        "lane_cap": st.sampled_from([0, 1, None]),
        "lane_rate": st.sampled_from([0, Rate(1, WINDOW_MS), None]),
        "gate_cap": st.sampled_from([0, 1, 2, None]),
        "gate_rate": st.sampled_from([0, Rate(1, WINDOW_MS), None]),
        "concurrency": st.sampled_from([1, 4, None]),
    },
)
lane_changes = st.fixed_dictionaries(
    {},
    optional={
        "paused": st.sampled_from([True, False, None]),
        "weight": st.sampled_from([0.5, 3.0, None]),
        "cap": st.sampled_from([0, 2, None]),
        "rate": st.sampled_from([0, Rate(2, WINDOW_MS), None]),
    },
)
adjustments = st.one_of(
    st.tuples(queues.map(Scope), queue_changes),
    st.tuples(st.builds(lambda queue, lane: Scope(queue, lane), queues, lanes), lane_changes),
)
BREAKER = BreakerTerms(failures=2, window_ms=WINDOW_MS, open_ms=2_000, recover_ms=1_000)
LIMIT_RULES = [
    LimitRule("at-once", By.GLOBAL, Algorithm.CONCURRENCY, Terms(1)),
    LimitRule("bucket", By.TENANT, Algorithm.TOKEN_BUCKET, Terms(2, WINDOW_MS, 3)),
    LimitRule("log", By.TENANT, Algorithm.SLIDING_WINDOW, Terms(2, WINDOW_MS)),
    LimitRule(
        "window", By.GLOBAL, Algorithm.FIXED_WINDOW, Terms(2, WINDOW_MS), slows=key_of("provider", "gmail")
    ),
]
_wants = [
    *(Want("", rule.name, rule.algorithm, rule.terms, slows=rule.slows) for rule in LIMIT_RULES),
    Want(key_of("provider", "gmail"), "provider", Algorithm.BREAKER, Terms(1)),
]
some_wants = st.lists(
    st.builds(
        lambda want, waits, cost: want._replace(waits=waits, cost=1 if want.key else cost),
        st.sampled_from(_wants),
        st.sampled_from(WaitScope),
        st.sampled_from([1, 1, 2]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda want: want.rule,
)


def want_of(job: FetchedJob, want: Want) -> Want:
    """What it is for this job: of its tenant, or the only counter of its rule."""
    if want.key:
        return want
    tenant = job.lane if want.rule in ("bucket", "log") else ""
    return want._replace(key=key_of(want.rule, tenant), tenant=tenant)


#: How a delivery ends, but for which one it is.
verdicts = st.builds(
    Verdict,
    id=st.just(""),
    token=st.just(0),
    outcome=ends,
    delay_ms=delays,
    record=st.sampled_from([None, b'{"result":1}']),
    detail=st.just(b'{"reason":"x"}'),
    progress=st.sampled_from([None, b'{"percent":100}']),
    dead_letter=st.sampled_from(["", LETTERS]),
    keep=st.sampled_from([None, None, 0, 2]),
    remove=st.booleans(),
    rests=st.sampled_from(RestScope),
    reason=st.just("not now"),
    result_ms=st.sampled_from([0, 0, 3_000]),
    cache=st.sampled_from([None, None, CacheEntry("k", b"v", 3_000)]),
    follow=st.one_of(st.just(()), st.just(()), st.lists(new_jobs, max_size=3).map(tuple)),
    unspent=st.booleans(),
)
held = st.builds(
    lambda verdict, ms: verdict._replace(outcome=Outcome.HELD, delay_ms=ms),
    verdicts,
    st.sampled_from([1_500, 40_000]),
)


def inside_redis(store: RedisStore, client: "redis.Redis", clock: Clock) -> dict[str, Any]:
    """What decides later steps and cannot be seen from outside: virtual times, who holds which unique name,
    which starts the rates count, what lanes cost, the places in line, the turns of the queues."""
    keys = store.keys
    order = [m.decode().split("\x1f") for m in client.zrange(keys.of("order"), 0, -1)]
    turns = [m.decode().split("\x1f") for m in client.zrange(keys.of("gates"), 0, -1)]
    found: Any = client.hgetall(keys.of("unique"))
    holders = {name.decode(): msgpack.unpackb(packed) for name, packed in found.items()}
    logged = [m.decode() for m in client.zrange(keys.of("starts"), 0, -1)]
    starts = [m.rsplit("\x1f", 3) for m in logged if not m.startswith("m\x1f")]  # those are of run limits
    costs: Any = client.hgetall(keys.of("costs"))
    rests: Any = client.hgetall(keys.of("rests"))
    standing = [m.decode().split("\x1f") for m in client.zrange(keys.of("waiting"), 0, -1)]
    return {
        "order": sorted((queue, int(band), int(vt, 16), lane) for queue, band, vt, lane in order),
        "ready": [queue.decode() for queue in client.zrange(keys.of("ready"), 0, -1)],
        "gates": sorted(
            (queue, int(band), lane.partition("\x1e")[0], int(lane.partition("\x1e")[2], 16), gate)
            for queue, band, lane, gate in turns
        ),
        "unique": {
            name: holder for name, (holder, _, ends) in holders.items() if not ends or ends > clock.now
        },
        "starts": sorted(
            (int(at), int(token), job_id)
            for _, at, token, job_id in starts
            if int(at) > clock.now - WINDOW_MS
        ),
        "costs": {name.decode(): float(ms) for name, ms in costs.items()},
        "places": sorted((job_id, int(place[2:], 16)) for *_, place, job_id in standing),
        "rests in drips": sorted(
            (scope.decode(), rest[0], rest[2], rest[3])
            for scope, rest in ((one, msgpack.unpackb(packed)) for one, packed in rests.items())
            if len(rest) > 2
        ),
        "run limits": sorted(job_id.decode() for job_id in client.hkeys(keys.of("permits"))),
    }


def inside_memory(store: MemoryStore, clock: Clock) -> dict[str, Any]:
    """The same of the memory store."""
    state = store._state
    lanes = [line for queue in QUEUES for line in state.lines.of(queue, gate="")]
    holders = state.unique._holders.items()
    logs = state.limits._starts.values()
    return {
        "order": sorted((*lane.key[:2], lane.vt, lane.key.lane) for lane in lanes if lane.awake),
        "ready": [queue for _, queue in sorted(state.ready.values())],
        "gates": sorted((*lane.key[:3], turn, gate) for lane in lanes for turn, gate in lane.turns),
        "unique": {
            "\x1f".join(name): held.id for name, held in holders if not held.until or held.until > clock.now
        },
        "starts": sorted(start for log in logs for start in log if start[0] > clock.now - WINDOW_MS),
        "costs": {"\x1f".join(name): ms for name, ms in state.costs.items()},
        "places": sorted(
            (job_id, place)
            for queue in QUEUES
            for line in state.lines.of(queue)
            for _, place, job_id in line.jobs
        ),
        "rests in drips": sorted(
            ("\x1f".join(name for name in scope if name), rest.until, rest.drips, rest.asked)
            for scope, rest in state.limits.rests.items()
            if rest.drips is not None
        ),
        "run limits": sorted(state.running_limits.holdings),
    }
