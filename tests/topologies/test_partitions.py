"""Packets are dropped and no connection is closed: calls end in time, and service is back soon after."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from jobs.errors import StoreUnavailable
from jobs.store import JobStore
from tests.ports import free_port
from tests.proxy import Mode, TcpProxy, proxy_to
from tests.topologies.flow import LOGIN, cluster_url, job, sentinel_url, store_at
from tests.topologies.servers import Server, cluster, ended, watched
from tests.waiting import eventually

SEND_LIMIT_S, BACK_LIMIT_S = 6.0, 10.0
#: What a loaded machine may add to both. A limit that does not hold costs at least as much again.
SLACK_S = 4.0
TOPOLOGIES = ("plain", "sentinel", "master behind sentinel", "cluster")


class Outcome(NamedTuple):
    """Seconds that calls took while cut off, over connections that were there and over new ones, and until
    everything worked again after the cut had ended."""

    warm: float
    cold: float
    back: float
    message: str


@pytest.fixture(scope="module")
def outcomes(home: Path) -> dict[str, Outcome]:
    """All at once, because each takes seconds of waiting."""
    with ThreadPoolExecutor(len(TOPOLOGIES)) as pool:
        runs = {name: pool.submit(run, home, name) for name in TOPOLOGIES}
        return {name: future.result() for name, future in runs.items()}


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_send_that_is_cut_off_fails_clearly_within_six_seconds(
    outcomes: dict[str, Outcome], name: str
) -> None:
    assert outcomes[name].warm < SEND_LIMIT_S + SLACK_S
    assert outcomes[name].cold < SEND_LIMIT_S + SLACK_S
    assert "cannot be reached" in outcomes[name].message


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_all_works_again_within_ten_seconds_of_the_end(outcomes: dict[str, Outcome], name: str) -> None:
    assert outcomes[name].back < BACK_LIMIT_S + SLACK_S


def test_what_was_carried_out_and_not_answered_is_not_done_twice(server: Server, namespace: str) -> None:
    with proxy_to(server.port) as proxy:
        url = f"redis://{LOGIN}127.0.0.1:{proxy.port}"
        with store_at(url, namespace) as store:
            store.enqueue([job("before")])
            proxy.mode = Mode.DROP_REPLIES
            with pytest.raises(StoreUnavailable):
                store.enqueue([job("one")])
            proxy.mode = Mode.FORWARD
            assert [accepted.created for accepted in store.enqueue([job("one")])] == [False]
            assert store.stats(["q"])[0].waiting == 2


def test_connections_that_were_cut_are_made_anew_without_a_word(server: Server, namespace: str) -> None:
    with (
        proxy_to(server.port) as proxy,
        store_at(f"redis://{LOGIN}127.0.0.1:{proxy.port}", namespace) as store,
    ):
        store.enqueue([job("one")])
        proxy.cut()
        assert store.enqueue([job("two")])[0].created


def run(home: Path, name: str) -> Outcome:
    with cut_off(home, name) as (url, proxies), store_at(url, "ns") as warm, store_at(url, "ns") as cold:
        warm.enqueue([job("one")])
        everything_works(warm)
        for proxy in proxies:
            proxy.mode = Mode.BLACKHOLE
        with ThreadPoolExecutor(2) as pool:
            fresh = pool.submit(failing, cold)
            took, message = failing(warm)
        for proxy in proxies:
            proxy.mode = Mode.FORWARD
        since = time.monotonic()
        eventually(lambda: everything_works(warm) and everything_works(cold), timeout=2 * BACK_LIMIT_S)
        return Outcome(took, fresh.result()[0], time.monotonic() - since, message)


def failing(store: JobStore) -> tuple[float, str]:
    since = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        store.enqueue([job("two")])
    return time.monotonic() - since, str(caught.value)


def everything_works(store: JobStore) -> bool:
    """What a producer, a worker's calls, its blocking call and its listener do."""
    calls: list[Callable[[], object]] = [
        lambda: store.enqueue([job("three")]),
        lambda: store.renew("nobody", 1_000),
        lambda: store.wait_for_work(["none"], 10),
        lambda: store.listen(lambda _: None, lambda: None, 10),
        lambda: store.stats(["q"]),
    ]
    try:
        for call in calls:
            call()
    except StoreUnavailable:
        return False
    return True


@contextlib.contextmanager
def cut_off(home: Path, name: str) -> Iterator[tuple[str, list[TcpProxy]]]:
    """The URL of a topology that is reached only through proxies."""
    if name == "plain":
        server = Server(home)
        with ended(server), proxy_to(server.port) as proxy:
            yield f"redis://{LOGIN}127.0.0.1:{proxy.port}", [proxy]
    elif "sentinel" in name:
        server = Server(home)
        with ended(server), proxy_to(server.port) as proxy:
            # It watches through the proxy too, so it tells that address; and it is in no hurry.
            sentinel = watched(home, proxy.port, down_after_ms=60_000)
            with ended(sentinel), contextlib.ExitStack() as stack:
                ways = [stack.enter_context(proxy_to(sentinel.port)) for _ in range(3)]
                cut = [proxy, *ways] if name == "sentinel" else [proxy]
                yield sentinel_url(*(way.port for way in ways)), cut
    else:
        port = free_port()
        with proxy_to(port) as proxy:
            nodes = cluster(home, [port], announced=[proxy.port])
            with ended(*nodes):
                yield cluster_url(proxy.port), [proxy]
