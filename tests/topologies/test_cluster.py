"""A cluster of three nodes, with the shards of the queues spread over them."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from redis.crc import key_slot

from broker.redis.connection import RedisAddress
from broker.redis.facts import read_facts, read_nodes
from broker.redis.finders import finder_of
from broker.redis.node_connection import Elsewhere, NodeConnection, ask, connection_options
from broker.redis.topology import stray_jobs
from jobs.errors import StoreUnavailable
from jobs.model import Cancelled, FetchRequest
from jobs.store import JobStore
from tests.topologies.flow import WORKER, basic_flow, cluster_url, job, store_at, topology
from tests.topologies.servers import Server, wait_for_cluster
from tests.waiting import eventually

#: Three shards whose slots are on three different nodes of three.
SHARDS = {"blue": ["b"], "green": ["g"]}
QUEUES = ["q", "b", "g"]


@pytest.fixture
def store(three_nodes: list[Server], namespace: str) -> Iterator[JobStore]:
    with store_at(cluster_url(1, three_nodes[0].port), namespace, **SHARDS) as store:
        yield store


def serves(shard: str, nodes: list[Server]) -> Server:
    port = finder_of(RedisAddress(cluster_url(*(node.port for node in nodes)), shard))().port
    return next(node for node in nodes if node.port == port)


def test_jobs_live_and_end_on_the_node_of_their_shard(
    store: JobStore, three_nodes: list[Server], namespace: str
) -> None:
    basic_flow(store, QUEUES)
    store.enqueue([job("one", queue) for queue in QUEUES])
    places = {shard: serves(shard, three_nodes) for shard in ("main", *SHARDS)}
    assert len({node.port for node in places.values()}) == 3
    for shard, home in places.items():
        for node in three_nodes:
            with node.client() as client:
                there = bool(client.keys(f"{namespace}:{{{shard}}}:*"))
                assert there == (node is home)


def test_a_worker_on_one_node_hears_of_a_cancelled_job(store: JobStore) -> None:
    part = store.shards["blue"]
    part.register(WORKER, 15_000)
    store.enqueue([job("runs", "b")])
    assert part.fetch(FetchRequest("w", "t", 1, {"b": 1})).jobs
    heard: list[str] = []
    part.listen(heard.append, lambda: heard.append("joined"), 4_000)
    assert store.cancel(["runs", "none"]) == [Cancelled.SIGNALLED, Cancelled.UNKNOWN]
    eventually(lambda: part.listen(heard.append, lambda: None, 200) or len(heard) > 1)
    assert heard == ["joined", "runs"]


def test_a_signal_reaches_listeners_on_every_node(three_nodes: list[Server]) -> None:
    with three_nodes[0].client() as here, three_nodes[2].client() as there:
        listener = there.pubsub()
        listener.subscribe("news")
        assert listener.get_message(timeout=20)["type"] == "subscribe"
        assert eventually(lambda: here.publish("news", "x") or listener.get_message(timeout=0.1))
        listener.close()


def test_the_doctor_sees_every_node(three_nodes: list[Server], namespace: str) -> None:
    spread = topology(cluster_url(three_nodes[1].port), namespace, **SHARDS)
    nodes = read_nodes(spread.find())
    assert {node.place for node in nodes} == {f"127.0.0.1:{node.port}" for node in three_nodes}
    assert all(read_facts(node).role == "master" for node in nodes)
    with store_at(cluster_url(three_nodes[1].port), namespace, **SHARDS) as store:
        store.enqueue([job("one", "g")])
    without = topology(cluster_url(three_nodes[1].port), namespace, blue=["b"])
    assert [tuple(stray) for stray in stray_jobs(without, QUEUES)] == [("g", "green", 1)]


class TestWhenAShardMoves:
    def test_no_call_fails_and_no_job_is_lost(
        self, store: JobStore, three_nodes: list[Server], namespace: str
    ) -> None:
        store.enqueue([job("0", "g")])
        listening = store.shards["green"]
        source = serves("green", three_nodes)
        target = serves("main", three_nodes)
        moved, sent, errors = threading.Event(), [0], list[Exception]()

        def produce() -> None:
            while not moved.is_set() or sent[0] < 50:
                sent[0] += 1
                try:
                    assert store.enqueue([job(str(sent[0]), "g")])[0].created
                except Exception as error:
                    errors.append(error)
                    return

        producer = threading.Thread(target=produce)
        producer.start()
        eventually(lambda: sent[0] > 20)
        move("green", source, target, three_nodes)
        at_the_end = sent[0]
        moved.set()
        producer.join(30)
        assert errors == []
        assert serves("green", three_nodes) is target
        eventually(lambda: sent[0] >= at_the_end)
        assert store.stats(["g"])[0].waiting == sent[0] + 1
        assert listening.wait_for_work(["g"], 1_000) == "g"
        with source.client() as client:
            assert not client.keys(f"{namespace}:{{green}}:*")

    def test_a_node_that_no_longer_serves_it_says_where_to_go(self, three_nodes: list[Server]) -> None:
        node = serves("blue", three_nodes)
        other = next(one for one in three_nodes if one is not node)
        finder = finder_of(RedisAddress(cluster_url(node.port), "blue"))
        with pytest.raises(Elsewhere, match=f"does not serve this shard now.*127.0.0.1:{node.port}"):
            ask(finder()._replace(port=other.port), ("GET", "{blue}"), 1)

    def test_a_connection_goes_where_it_was_told_even_if_others_do_not_know_it_yet(
        self, three_nodes: list[Server]
    ) -> None:
        node = finder_of(RedisAddress(cluster_url(three_nodes[0].port), "blue"))()
        wrong = next(one.port for one in three_nodes if one.port != node.port)
        connection: Any = NodeConnection(lambda _: node._replace(port=wrong), **connection_options(1))
        with pytest.raises(Elsewhere):
            connection.send_command("GET", "{blue}") or connection.read_response()
        assert connection.send_command("GET", "{blue}") or connection.read_response() is None
        connection.disconnect()


def test_a_password_that_is_wrong_is_said_at_once(three_nodes: list[Server], namespace: str) -> None:
    url = f"redis+cluster://:wrong@127.0.0.1:{three_nodes[0].port}"
    with store_at(url, namespace) as store, pytest.raises(StoreUnavailable, match="refuses the user name"):
        store.enqueue([job("one")])


def test_a_dead_node_stops_its_shard_alone_until_it_is_back(
    store: JobStore, three_nodes: list[Server]
) -> None:
    store.enqueue([job("0", queue) for queue in QUEUES])
    dead = serves("blue", three_nodes)
    dead.kill()
    with pytest.raises(StoreUnavailable, match=r"shard blue.*cannot be reached"):
        store.enqueue([job("1", "b")])
    assert all(accepted.created for accepted in store.enqueue([job("1", "g"), job("1", "q")]))
    dead.start()
    wait_for_cluster(three_nodes)
    assert store.enqueue([job("2", "b")])[0].created


def move(shard: str, source: Server, target: Server, nodes: list[Server]) -> None:
    """Move the slot of a shard key by key, as every version of Redis Cluster can."""
    slot = key_slot(f"{{{shard}}}".encode())
    with source.client() as giving, target.client() as taking:
        names = {node: str(node.execute_command("CLUSTER", "MYID"), "ascii") for node in (giving, taking)}
        taking.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[giving])
        giving.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[taking])
        while keys := giving.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 5):
            giving.execute_command(
                "MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "AUTH", target.password, "KEYS", *keys
            )
        for server in (target, source, *nodes):
            with server.client() as client:
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[taking])
