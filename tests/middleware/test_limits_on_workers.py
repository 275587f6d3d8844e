"""Worker processes under limits: never more than is allowed, and nearly all of it; by the actors' own notes
of when they ran, on the server's clock."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
import redis

from actors.composition import App
from jobs.model import Scope
from tests.control.running import Running
from tests.fundamentals.stage import StartWorker
from tests.middleware.limited import CALL_S, declare
from tests.middleware.workers import planted_worker
from tests.waiting import eventually

#: Each rate is 40 in two seconds; three jobs run at once under a concurrency, one under a resource's.
RATE, PER_S, AT_ONCE = 40, 2, 3
#: After the first jobs so long is waited, and then for so long measured.
WARM_S, WINDOW_S = 2, 12
#: Of jobs that take as long as a provider's answer.
CALLS_S = 8
#: A job starts so long after its grant at the most, on a machine that has other work.
LATE_S = 0.5
#: The part of each limit that is used, by what the actors themselves noted.
LEAST = 0.97
TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "limits": {
        "of-fixed": {"by": "tenant", "queues": ["fixed"], "algorithm": "fixed_window"},
        "of-sliding": {"by": "tenant", "queues": ["sliding"], "algorithm": "sliding_window"},
        "of-bucket": {"by": "queue", "queues": ["bucket"], "algorithm": "token_bucket", "burst": 5},
        "of-gcra": {"by": "tenant", "queues": ["gcra"], "algorithm": "gcra", "burst": 2},
        "at-once": {"by": "global", "queues": ["several"], "algorithm": "concurrency", "limit": AT_ONCE},
        "calls": {"by": "global", "queues": ["calls"], "algorithm": "concurrency", "limit": AT_ONCE},
        "outlook": {"by": "resource", "algorithm": "concurrency", "limit": 1},
        "gmail": {"by": "resource", "algorithm": "concurrency", "limit": 1},
    }
}
for _table in TABLES["limits"].values():
    if _table["algorithm"] != "concurrency":
        _table |= {"limit": RATE, "per": f"{PER_S}s"}
TOML = "\n".join(
    f"[limits.{name}]\n" + "\n".join(f"{key} = {value!r}".replace("'", '"') for key, value in table.items())
    for name, table in TABLES["limits"].items()
)
#: How many may have begun in any stretch of so many seconds.
ALLOWED: dict[str, Callable[[float], float]] = {
    "fixed": lambda seconds: 2 * RATE + RATE * seconds / PER_S,
    "sliding": lambda seconds: RATE * (1 + seconds // PER_S),
    "bucket": lambda seconds: 5 + RATE * seconds / PER_S,
    "gcra": lambda seconds: 2 + RATE * seconds / PER_S,
}
#: More than may begin until the end.
BACKLOG = int(RATE / PER_S * (WARM_S + WINDOW_S + 10)) + RATE
#: Places, by the queue: of a limit, of one that is taken inside of the job, and of the queue's own policy.
PLACES = {"calls": AT_ONCE, "inside": 1, "capped": AT_ONCE}
CALLS_BACKLOG = int(AT_ONCE / CALL_S * (WARM_S + CALLS_S + 4))

StartFleet = Callable[[int], list[Running]]
NotedTimes = Callable[[str], list[float]]


@pytest.fixture
def policies() -> dict[str, Any]:
    return dict(TABLES)


@pytest.fixture
def fleet(redis_url: str, namespace: str, home: Path, tmp_path: Path) -> Iterator[StartFleet]:
    """Call it with how many processes there shall be."""
    config = tmp_path / "callboard.toml"
    config.write_text(TOML)
    environment = {
        "CALLBOARD_CONFIG": str(config),
        "CALLBOARD_WORKERS__STOP_SECONDS": "1",
        "WORKER_CONCURRENCY": "8",
    }
    with ExitStack() as stack:
        workers: list[Running] = []

        def start(number: int) -> list[Running]:
            begun = [
                planted_worker(redis_url, namespace, home, actors="limited", **environment)
                for _ in range(number)
            ]
            with ThreadPoolExecutor() as pool:
                for one, worker in zip(begun, pool.map(lambda one: one.__enter__(), begun), strict=True):
                    stack.push(one)
                    workers.append(worker)
            return workers

        yield start
        for worker in workers:
            if worker.process.poll() is None:
                worker.send(signal.SIGTERM)
        for worker in workers:
            worker.ended()


@pytest.fixture
def sent(real_app: App, redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CALLBOARD_REDIS__NAMESPACE", namespace)
    return declare()


@pytest.fixture
def noted(redis_url: str, namespace: str) -> Iterator[NotedTimes]:
    """When an actor noted something, in seconds."""
    client = redis.Redis.from_url(redis_url)

    def times(name: str) -> list[float]:
        found: Any = client.lrange(f"{namespace}:noted:{name}", 0, -1)
        return sorted(map(float, found))

    yield times
    client.close()


def put(app: App, actor: Any, number: int, tenant: str = "acme") -> None:
    messages = [actor.message_with_options(args=(tenant,), tenant_id=tenant) for _ in range(number)]
    app.broker.enqueue_many(messages)


class Grants:
    """Every start that the sliding window's own log has counted, read while it still stands there."""

    def __init__(self, url: str, namespace: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._log = f"{namespace}:{{main}}:starts"
        self.seen: set[bytes] = set()

    def read(self) -> None:
        self.seen |= set(self._client.zrange(self._log, 0, -1))  # type: ignore[arg-type]

    def times(self) -> list[int]:
        """In milliseconds."""
        return sorted(int(entry.split(b"\x1f")[2]) for entry in self.seen)

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def grants(redis_url: str, namespace: str) -> Iterator[Grants]:
    found = Grants(redis_url, namespace)
    yield found
    found.close()


def test_no_limit_is_ever_exceeded_and_nearly_all_of_each_is_used(
    real_app: App, sent: dict[str, Any], fleet: StartFleet, noted: NotedTimes, grants: Grants
) -> None:
    """Three processes, and a backlog until the end: first of jobs that are some at once, then of four rates
    side by side."""
    fleet(3)
    real_app.store.adjust(Scope("capped"), {"cap": AT_ONCE})
    for name in PLACES:
        put(real_app, sent[name], CALLS_BACKLOG)
    eventually(lambda: all(noted(f"{name}:acme") for name in PLACES), timeout=20)
    first, last = stretch(CALLS_S)
    eventually(lambda: time.time() > last, timeout=CALLS_S + 10, every=0.2)
    assert all(one.waiting for one in real_app.store.stats([*PLACES])), "no backlog was left"
    for name in PLACES:
        real_app.store.adjust(Scope(name), {"paused": True})

    for name in ALLOWED:
        put(real_app, sent[name], BACKLOG)
    eventually(lambda: all(noted(f"{name}:acme") for name in ALLOWED), timeout=20)
    begin, end = stretch(WINDOW_S)

    def is_over() -> bool:
        grants.read()
        return time.time() > end + LATE_S

    eventually(is_over, timeout=WINDOW_S + 10, every=0.2)
    # Notes come after what they tell of: those of the stretch are there when one comes from after it.
    eventually(lambda: all(noted(f"{name}:acme")[-1] > end + LATE_S for name in ALLOWED))
    assert all(one.waiting for one in real_app.store.stats([*ALLOWED])), "no backlog was left"

    used = {}
    for name, places in PLACES.items():
        begins, ends = noted(f"{name}:acme"), noted(f"{name}-ended:acme")
        assert most_at_once(begins, ends) == places
        used[name] = time_at_work(begins, ends, first, last) / (places * CALLS_S)
    for name in {*ALLOWED} - {"sliding"}:
        assert_never_more(noted(f"{name}:acme"), ALLOWED[name])
    # By the store's own log: there is nothing to allow for, and one job that starts late does no harm.
    exact = grants.times()
    assert len(exact) > RATE * WINDOW_S / PER_S
    assert all(later - earlier >= PER_S * 1000 for earlier, later in zip(exact, exact[RATE:], strict=False))
    used |= {name: used_of_rate(name, noted(f"{name}:acme"), begin, end) for name in ALLOWED}
    assert {name: share for name, share in used.items() if share < LEAST} == {}


def stretch(seconds: float) -> tuple[float, float]:
    """Of time, after what goes before it."""
    begin = time.time() + WARM_S
    return begin, begin + seconds


def used_of_rate(name: str, times: Sequence[float], begin: float, end: float) -> float:
    """What part of the starts that the rule allows in a stretch of time happened."""
    if name == "fixed":  # whole windows
        begin, end = (-(-begin // PER_S)) * PER_S, end // PER_S * PER_S
        return sum(begin <= at < end for at in times) / (RATE * (end - begin) / PER_S)
    # As long as so many should take; a count would go by whether the stretch begins before or after a rush.
    since = [at for at in times if at >= begin]
    last = min(int(RATE * (end - begin) / PER_S), len(since) - 1)
    return last * PER_S / RATE / (since[last] - since[0])


def assert_never_more(times: Sequence[float], most: Callable[[float], float]) -> None:
    for first, since in enumerate(times):
        for last in range(first, min(len(times), first + 3 * RATE)):
            assert last - first + 1 <= most(max(0, times[last] - since + LATE_S))


def steps(begins: Sequence[float], ends: Sequence[float]) -> list[tuple[float, int]]:
    return sorted(chain(((at, 1) for at in begins), ((at, -1) for at in ends)))


def most_at_once(begins: Sequence[float], ends: Sequence[float]) -> int:
    running = most = 0
    for _, step in steps(begins, ends):
        running += step
        most = max(most, running)
    return most


def time_at_work(begins: Sequence[float], ends: Sequence[float], begin: float, end: float) -> float:
    """Seconds of all runs together within a stretch of time."""
    running, total = 0, 0.0
    for (at, step), (following, _) in pairwise(steps(begins, ends)):
        running += step
        total += running * max(0.0, min(following, end) - max(at, begin))
    return total


def test_tenants_take_turns_under_a_limit_and_nobodys_job_spends_an_attempt(
    real_app: App, sent: dict[str, Any], running_worker: StartWorker, noted: NotedTimes
) -> None:
    put(real_app, sent["several"], 60)
    put(real_app, sent["several"], 20, tenant="zeta")
    running_worker()
    eventually(lambda: len(noted("several-ended:acme")) == 60, timeout=40)
    both = ("acme", "zeta")
    begins = [at for tenant in both for at in noted(f"several:{tenant}")]
    assert most_at_once(begins, [at for t in both for at in noted(f"several-ended:{t}")]) == AT_ONCE
    zeta, acme = noted("several:zeta"), noted("several:acme")
    assert sum(at < zeta[-1] for at in acme) <= 30  # and not all of the 60 that came first
    eventually(lambda: real_app.store.stats(["several"])[0].completed == 80)
    counts = real_app.store.stats(["several"])[0]
    assert (counts.waiting, counts.failed, counts.retries) == (0, 0, 0)


def test_the_permit_of_a_killed_worker_comes_back(
    real_app: App, sent: dict[str, Any], fleet: StartFleet, noted: NotedTimes
) -> None:
    fleet(2)
    account = sent["account"]
    first = account.send("acct-7")
    eventually(lambda: len(noted("account:acct-7")) == 1, timeout=20)
    account.send("acct-7")
    eventually(lambda: real_app.store.limit_states([real_app.limits.rules["gmail"]])[0].waiting == 1)
    job = real_app.store.get(first.message_id)
    assert job is not None
    (holder,) = [one for one in real_app.store.workers() if one.owner == job.owner]
    os.kill(holder.pid, signal.SIGKILL)
    eventually(lambda: len(noted("account:acct-7")) == 2, timeout=20)


def test_a_limit_that_is_raised_lets_what_waits_go_on_at_once(
    real_app: App, sent: dict[str, Any], running_worker: StartWorker, noted: NotedTimes
) -> None:
    running_worker()
    real_app.store.set_limit("of-gcra", None, {"limit": 1, "per_ms": 3_600_000, "burst": 1})
    put(real_app, sent["gcra"], 10)
    eventually(lambda: real_app.store.lanes("gcra", ["acme"])[0].resting == 9)
    eventually(lambda: len(noted("gcra:acme")) == 1)
    real_app.store.set_limit("of-gcra", "acme", {"limit": 100_000, "per_ms": 1_000, "burst": 100})
    eventually(lambda: len(noted("gcra:acme")) == 10)
