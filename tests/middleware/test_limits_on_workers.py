"""Three worker processes under limits: never more than is allowed, and nearly all of it; by the actors'
own notes of when they ran, on the server's clock. Between a grant and the note some milliseconds pass, of
which the exact bounds, which tests/contract shows, know nothing."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import redis

from actors.composition import App
from tests.control.running import Running
from tests.middleware.limited import declare
from tests.middleware.workers import planted_worker
from tests.waiting import eventually

LATE_S = 0.25
#: 40 in two seconds each.
RATE, PER_S, JOBS = 40, 2, 160
TABLES = {
    "limits": {
        "of-fixed": {
            "by": "tenant",
            "queues": ["fixed"],
            "algorithm": "fixed_window",
            "limit": RATE,
            "per": "2s",
        },
        "of-sliding": {
            "by": "tenant",
            "queues": ["sliding"],
            "algorithm": "sliding_window",
            "limit": RATE,
            "per": "2s",
        },
        "of-bucket": {
            "by": "queue",
            "queues": ["bucket"],
            "algorithm": "token_bucket",
            "limit": RATE,
            "per": "2s",
            "burst": 5,
        },
        "of-gcra": {
            "by": "tenant",
            "queues": ["gcra"],
            "algorithm": "gcra",
            "limit": RATE,
            "per": "2s",
            "burst": 2,
        },
        "at-once": {"by": "global", "queues": ["several"], "algorithm": "concurrency", "limit": 3},
        "gmail": {"by": "resource", "algorithm": "concurrency", "limit": 1},
    }
}
TOML = "\n".join(
    f"[limits.{name}]\n" + "\n".join(f"{key} = {value!r}".replace("'", '"') for key, value in table.items())
    for name, table in TABLES["limits"].items()
)
#: How many may have begun `seconds` after the first, at most.
ALLOWED: dict[str, Callable[[float], float]] = {
    "fixed": lambda seconds: 2 * RATE + RATE * seconds / PER_S,
    "sliding": lambda seconds: RATE + RATE * seconds / PER_S,
    "bucket": lambda seconds: 5 + RATE * seconds / PER_S,
    "gcra": lambda seconds: 2 + RATE * seconds / PER_S,
}
#: How long the jobs take at least.
LEAST_S = {
    "fixed": (JOBS / RATE - 2) * PER_S,
    "sliding": (JOBS / RATE - 1) * PER_S,
    "bucket": (JOBS - 5) * PER_S / RATE,
    "gcra": (JOBS - 2) * PER_S / RATE,
}


@pytest.fixture
def policies() -> dict[str, Any]:
    return dict(TABLES)


@pytest.fixture
def fleet(redis_url: str, namespace: str, home: Path, tmp_path: Path) -> Iterator[list[Running]]:
    config = tmp_path / "callboard.toml"
    config.write_text(TOML)
    environment = {"CALLBOARD_CONFIG": str(config), "CALLBOARD_WORKERS__STOP_SECONDS": "1"}
    with ExitStack() as stack:
        workers = []
        for _ in range(3):
            one = planted_worker(redis_url, namespace, home, actors="limited", **environment)
            workers.append(stack.enter_context(one))
        yield workers
        for worker in workers:
            if worker.process.poll() is None:
                worker.send(signal.SIGTERM)
        for worker in workers:
            worker.ended()


@pytest.fixture
def sent(real_app: App) -> dict[str, Any]:
    return declare()


@pytest.fixture
def noted(redis_url: str, namespace: str) -> Iterator[Callable[[str], list[float]]]:
    """When an actor noted something, in seconds."""
    client = redis.Redis.from_url(redis_url)

    def times(name: str) -> list[float]:
        found: Any = client.lrange(f"{namespace}:noted:{name}", 0, -1)
        return sorted(int(us) / 1_000_000 for us in found)

    yield times
    client.close()


@pytest.mark.parametrize("name", list(ALLOWED))
@pytest.mark.timeout(90)
def test_a_rate_is_never_exceeded_and_nearly_all_of_it_is_used(
    real_app: App, sent: dict[str, Any], fleet: list[Running], noted: Callable[[str], list[float]], name: str
) -> None:
    actor = sent[name]
    real_app.broker.enqueue_many(
        [actor.message_with_options(args=("acme",), tenant_id="acme") for _ in range(JOBS)]
    )
    eventually(lambda: len(noted(f"{name}:acme")) == JOBS, timeout=60)
    times = noted(f"{name}:acme")
    most = ALLOWED[name]
    for first, begin in enumerate(times):
        for last in range(first, JOBS):
            assert last - first + 1 <= most(times[last] - begin + LATE_S)
    if name == "fixed":
        # So many windows, of which the last and a part of the first need not be waited for; and in each
        # all of it.
        assert times[-1] - times[0] <= JOBS / RATE * PER_S
        full = Counter(int(at / PER_S) for at in times)
        assert max(full.values()) <= RATE + 2
    elif name == "sliding":
        # How long each place in the window stood empty: the first jobs take their time to begin, as many
        # as they are.
        spans = [later - earlier for earlier, later in zip(times, times[RATE:], strict=False)]
        assert PER_S / (sum(spans) / len(spans)) >= 0.97
    else:
        assert LEAST_S[name] / (times[-1] - times[0]) >= 0.97


@pytest.mark.timeout(90)
def test_no_more_run_at_once_than_may_and_tenants_take_turns(
    real_app: App, sent: dict[str, Any], fleet: list[Running], noted: Callable[[str], list[float]]
) -> None:
    several = sent["several"]
    for tenant, number in (("acme", 120), ("zeta", 40)):
        real_app.broker.enqueue_many(
            [several.message_with_options(args=(tenant,), tenant_id=tenant) for _ in range(number)]
        )
    eventually(lambda: len(noted("several-ended:acme")) == 120, timeout=60)
    begins = [(at, 1) for tenant in ("acme", "zeta") for at in noted(f"several:{tenant}")]
    ends = [(at, -1) for tenant in ("acme", "zeta") for at in noted(f"several-ended:{tenant}")]
    at_once, most = 0, 0
    for _, step in sorted(chain(begins, ends)):
        at_once += step
        most = max(most, at_once)
    assert most == 3
    zeta, acme = noted("several:zeta"), noted("several:acme")
    before = sum(1 for at in acme if at < zeta[-1])
    assert before <= 60  # and not all of the 120 that came first
    waste = real_app.store.stats(["several"])[0]
    assert (waste.waiting, waste.failed, waste.retries) == (0, 0, 0)


@pytest.mark.timeout(90)
def test_the_permit_of_a_killed_worker_comes_back(
    real_app: App, sent: dict[str, Any], fleet: list[Running], noted: Callable[[str], list[float]]
) -> None:
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


@pytest.mark.timeout(90)
def test_a_limit_that_is_raised_lets_what_waits_go_on_at_once(
    real_app: App, sent: dict[str, Any], fleet: list[Running], noted: Callable[[str], list[float]]
) -> None:
    real_app.store.set_limit("of-gcra", None, {"limit": 1, "per_ms": 3_600_000, "burst": 1})
    gcra = sent["gcra"]
    real_app.broker.enqueue_many(
        [gcra.message_with_options(args=("acme",), tenant_id="acme") for _ in range(10)]
    )
    eventually(lambda: real_app.store.lanes("gcra", ["acme"])[0].resting == 9)
    assert len(noted("gcra:acme")) == 1
    real_app.store.set_limit("of-gcra", "acme", {"limit": 100_000, "per_ms": 1_000, "burst": 100})
    eventually(lambda: len(noted("gcra:acme")) == 10, timeout=3)
