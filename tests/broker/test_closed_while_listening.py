"""A store whose connections are closed while a thread waits on them, as when its server moves: the thread
hears of it in our words, and its next call opens new ones."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from jobs.errors import StoreUnavailable
from tests.waiting import eventually


@pytest.fixture
def store(redis_address: RedisAddress, namespace: str) -> Iterator[RedisStore]:
    store = RedisStore(lambda: redis_address, namespace)
    yield store
    store.close()


class Waits(threading.Thread):
    """Makes a call again and again; how that ended."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.ended_with: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            while True:
                self._call()
        except BaseException as error:
            self.ended_with = error


def closed_under(waits: Waits, store: RedisStore) -> bool:
    """Whether that has ended it: it may have been between two calls."""
    store.close()
    waits.join(0.1)
    return not waits.is_alive()


def test_whoever_listens_for_cancellations_is_told(store: RedisStore) -> None:
    for _ in range(5):
        joined = threading.Event()
        waits = Waits(lambda joined=joined: store.listen(lambda job_id: None, joined.set, 300))
        assert joined.wait(20)
        eventually(lambda waits=waits: closed_under(waits, store))
        assert isinstance(waits.ended_with, StoreUnavailable), repr(waits.ended_with)


def test_whoever_waits_for_work_is_told(store: RedisStore) -> None:
    for _ in range(5):
        waits = Waits(lambda: store.wait_for_work(["none"], 300))
        eventually(lambda waits=waits: closed_under(waits, store))
        assert isinstance(waits.ended_with, StoreUnavailable), repr(waits.ended_with)
