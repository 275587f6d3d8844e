"""Groups of jobs: who completes one is told so, once and again."""

from jobs.store import JobStore
from tests.contract.clock import Clock


def test_the_last_member_completes_its_group(store: JobStore) -> None:
    assert store.open_group("g", 3, 60_000)
    assert [store.arrive("g", member) for member in ("a", "b", "c")] == [False, False, True]


def test_a_member_that_comes_again_counts_once_and_hears_the_same(store: JobStore) -> None:
    store.open_group("g", 2, 60_000)
    assert [store.arrive("g", member) for member in ("a", "a", "b", "a", "b")] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_a_group_begins_once(store: JobStore) -> None:
    assert store.open_group("g", 1, 60_000)
    assert not store.open_group("g", 5, 60_000)
    assert store.arrive("g", "a")


def test_a_group_is_forgotten_when_its_time_is_over(store: JobStore, clock: Clock) -> None:
    store.open_group("g", 2, 60_000)
    store.arrive("g", "a")
    clock.advance(60_000)
    store.trim({})
    assert not store.arrive("g", "b")
    assert not store.arrive("unknown", "b")
    assert store.open_group("g", 1, 60_000)
    assert store.arrive("g", "a")
    clock.advance(60_000)
    store.trim({})
