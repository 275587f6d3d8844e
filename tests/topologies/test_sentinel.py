"""Sentinels say who the master is; after a failover the same store goes on with the new one."""

import time

import pytest

from broker.redis.connection import RedisAddress
from broker.redis.finders import MasterFinder, finder_of
from broker.redis.node_connection import Elsewhere, ask
from jobs.errors import StoreUnavailable
from jobs.states import JobState
from jobs.store import JobStore
from tests.topologies.flow import basic_flow, job, sentinel_url, store_at
from tests.topologies.servers import Server
from tests.waiting import eventually

#: A call may take 6 s, and a loaded machine adds to it; two calls in a row would take longer.
CALL_LIMIT_S = 10.0

Watched = tuple[Server, Server, Server]


def in_step(master: Server) -> bool:
    with master.client() as client:
        client.set("step", 1)  # WAIT means what its own connection wrote, and all before it
        return client.execute_command("WAIT", 1, 200) == 1


def told_master(sentinel: Server) -> int:
    with sentinel.client() as client:
        return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "jobs")[1])


@pytest.mark.parametrize("watched_pair", [300], indirect=True, ids=["in a hurry"])
def test_service_is_back_seconds_after_the_master_was_killed(watched_pair: Watched, namespace: str) -> None:
    master, _, sentinel = watched_pair
    with store_at(sentinel_url(1, sentinel.port), namespace, other=["r"]) as store:
        basic_flow(store, ["q", "r"])
        store.enqueue([job("before"), job("before", "r")])
        assert store.shards["main"].wait_for_work(["q"], 10) == "q"
        eventually(lambda: in_step(master))
        master.kill()
        since = time.monotonic()
        took = eventually(lambda: attempt(store, "after"), timeout=30)
        assert time.monotonic() - since < 20
        assert took < CALL_LIMIT_S, "a call ends in time also when it fails"
        assert {found.id for found in store.list_jobs("q", JobState.WAITING)} == {"before", "after"}
        assert store.get("before") is not None
        # What blocks and what listens come back too.
        eventually(lambda: listens(store.shards["main"]))


def test_a_planned_failover_costs_nobody_an_error_and_jobs_of_a_moment_at_most(
    watched_pair: Watched, namespace: str
) -> None:
    master, replica, sentinel = watched_pair
    with master.client() as client:
        # Without this the old master goes on taking jobs for ten seconds, and then throws them away.
        client.config_set("min-replicas-to-write", 1)
    with store_at(sentinel_url(sentinel.port), namespace) as store:
        store.enqueue([job("0")])
        eventually(lambda: in_step(master) and sentinel_knows_the_replica(sentinel))
        with sentinel.client() as client:
            client.execute_command("SENTINEL", "FAILOVER", "jobs")
        sent = 0
        while sent < 100 or told_master(sentinel) != replica.port:
            sent += 1
            assert store.enqueue([job(str(sent))])[0].created
        waiting = store.stats(["q"])[0].waiting
        assert sent + 1 - waiting <= 20, "replication is asynchronous, and the old one must notice first"
        with replica.client() as client:
            assert client.hlen(f"{namespace}:{{main}}:jobs") == waiting


def test_a_replaced_master_that_still_takes_jobs_is_left_within_a_second(
    watched_pair: Watched, namespace: str
) -> None:
    master, replica, sentinel = watched_pair
    with store_at(sentinel_url(sentinel.port), namespace) as store:
        store.enqueue([job("0")])
        eventually(lambda: in_step(master) and sentinel_knows_the_replica(sentinel))
        with sentinel.client() as client:
            client.execute_command("SENTINEL", "FAILOVER", "jobs")
        eventually(lambda: told_master(sentinel) == replica.port, timeout=20)
        replaced = time.monotonic()

        def arrives_at_the_new_one() -> bool:
            store.enqueue([job(str(time.monotonic()))])
            with replica.client() as client:
                return bool(client.hlen(f"{namespace}:{{main}}:jobs") > 1)

        eventually(arrives_at_the_new_one)
        assert time.monotonic() - replaced < 6, "the sentinel demotes it after eight or more"
        with master.client() as client:
            assert client.info("replication")["role"] == "master", "it would have taken them"


def test_a_replica_is_not_mistaken_for_the_master(calm_pair: Watched) -> None:
    _, replica, sentinel = calm_pair
    node = finder_of(RedisAddress(sentinel_url(sentinel.port)))()
    assert ask(node, ("PING",), 1) == b"PONG"
    with pytest.raises(Elsewhere, match="is a replica now"):
        ask(node._replace(port=replica.port), ("PING",), 1)


def test_the_sentinel_that_answered_is_asked_first_the_next_time(calm_pair: Watched) -> None:
    sentinel = calm_pair[2]
    finder = finder_of(RedisAddress(sentinel_url(1, 2, sentinel.port)))
    assert isinstance(finder, MasterFinder)
    assert finder().port == calm_pair[0].port
    assert [node.port for node in finder._sentinels] == [sentinel.port, 1, 2]


def test_what_is_wrong_is_said(calm_pair: Watched, namespace: str) -> None:
    sentinel = calm_pair[2]
    refusal = f"The sentinel at 127.0.0.1:{sentinel.port} refuses"
    wrong = sentinel_url(sentinel.port, password="wrong")
    with store_at(wrong, namespace) as store, pytest.raises(StoreUnavailable, match=refusal):
        store.ping()
    unknown = sentinel_url(sentinel.port).replace("/jobs", "/others")
    with (
        store_at(unknown, namespace) as store,
        pytest.raises(StoreUnavailable, match="no master named others"),
    ):
        store.ping()


def attempt(store: JobStore, job_id: str) -> float:
    """Enqueue one job; how long it took, or 0 when it failed, which must not take longer either."""
    since = time.monotonic()
    try:
        store.enqueue([job(job_id)])
    except StoreUnavailable:
        assert time.monotonic() - since < CALL_LIMIT_S
        return 0.0
    return time.monotonic() - since


def listens(store: JobStore) -> bool:
    joined: list[bool] = []
    try:
        store.listen(lambda _: None, lambda: joined.append(True), 100)
    except StoreUnavailable:
        return False
    return bool(joined)


def sentinel_knows_the_replica(sentinel: Server) -> bool:
    with sentinel.client() as client:
        found = client.execute_command("SENTINEL", "REPLICAS", "jobs")
    return bool(found) and "master-link-status" in str(found) and "'ok'" in str(found)
