"""New rules count for all that the former ones held back, also when the process that brought them died."""

from collections.abc import Callable

import pytest

from broker.redis.redis_store import RedisStore
from jobs.errors import StoreUnavailable
from jobs.model import Retention, Scope
from jobs.rules import Rate
from tests.contract.steps import QUEUE, a_job, fetch, rules

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    "change",
    [lambda store: rules(store), lambda store: store.adjust(Scope(QUEUE), {"lane_rate": 0})],
    ids=["settings", "adjustment"],
)
def test_the_next_process_finishes_what_one_that_died_began(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch, change: Callable[[RedisStore], None]
) -> None:
    rules(store, lane_rate=Rate(1, DAY_MS))
    store.enqueue([a_job(lane=f"t{n}") for n in range(3) for _ in range(2)])
    assert (len(fetch(store).jobs), len(fetch(store).jobs)) == (3, 0)
    with monkeypatch.context() as patched:
        patched.setattr(store, "_rouse", dies)
        with pytest.raises(StoreUnavailable):
            change(store)
    assert fetch(store).jobs == []

    rules(store)

    assert len(fetch(store).jobs) == 3


def test_and_so_does_a_clean_up_while_all_processes_run(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules(store, lane_rate=Rate(1, DAY_MS))
    store.enqueue([a_job(lane=f"t{n}") for n in range(3) for _ in range(2)])
    assert (len(fetch(store).jobs), len(fetch(store).jobs)) == (3, 0)
    with monkeypatch.context() as patched:
        patched.setattr(store, "_rouse", dies)
        with pytest.raises(StoreUnavailable):
            store.adjust(Scope(QUEUE), {"lane_rate": 0})
    store.trim({QUEUE: Retention()})
    assert len(fetch(store).jobs) == 3
    roused: list[str] = []
    monkeypatch.setattr(store, "_rouse", roused.extend)
    store.trim({QUEUE: Retention()})
    assert roused == [], "it is done"


def dies(*_: object) -> None:
    raise StoreUnavailable("the process was killed here")


def test_settings_that_say_the_same_again_wake_nobody(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process that starts says them."""
    rules(store, lane_rate=Rate(1, DAY_MS))
    roused: list[str] = []
    monkeypatch.setattr(store, "_rouse", roused.extend)
    rules(store, lane_rate=Rate(1, DAY_MS))
    assert roused == []
