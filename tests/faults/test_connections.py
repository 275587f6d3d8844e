"""Replies that are lost, connections that are cut: nothing is doubled or lost, and all is soon well."""

import hashlib
from functools import partial

import pytest
import redis

from broker.redis.connection import RedisAddress
from broker.redis.redis_store import RedisStore
from broker.redis.scripts import load_script
from jobs.errors import StoreUnavailable
from jobs.model import NewJob
from tests.faults.fleet import Fleet
from tests.proxy import Mode, TcpProxy
from tests.sealed import signed
from tests.waiting import eventually

pytestmark = pytest.mark.faults


def sha_of(verb: str, address: RedisAddress) -> bytes:
    """What a call of this verb says on the wire to this server."""
    with redis.Redis.from_url(address.url) as client:
        flags = int(str(client.info("server")["redis_version"]).split(".")[0]) >= 7
    source = load_script(verb).source(flags=flags)
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest().encode()


def test_a_reply_that_is_lost_after_the_server_did_the_work_doubles_and_loses_nothing(
    fleet: Fleet, proxy: TcpProxy
) -> None:
    worker = fleet.start(via=proxy.port, threads=2)
    for n, verb in enumerate(["fetch", "settle", "renew", "register"]):
        lost = proxy.lose_reply_to(sha_of(verb, fleet.store.address))
        (job_id,) = fleet.send("work", [n], ms=1_500 if verb == "renew" else 0)
        eventually(partial(fleet.completed, job_id))
        if verb != "register":
            assert lost.wait(20.0), f"no reply to {verb} was lost"
    assert not worker.ended()
    balance = fleet.balance()
    assert (balance.leases_lost, len(fleet.runs())) == (0, 4)
    assert {job.attempts for job in fleet.jobs().values()} == {1}


def test_a_server_that_forgot_its_scripts_or_whose_replies_are_lost_takes_each_of_thousands_once(
    fleet: Fleet, proxy: TcpProxy
) -> None:
    store = RedisStore(lambda: RedisAddress(fleet.url(proxy.port)), fleet.store.keys.namespace)
    jobs = [signed(NewJob(f"quick-{n}", "quick", "quick", b'[[],{"n":1},{},0]')) for n in range(2_500)]
    store.enqueue(jobs[:1])
    with redis.Redis.from_url(fleet.store.address.url) as client:
        client.script_flush()
    assert len(store.enqueue(jobs[:1_500])) == 1_500
    lost = proxy.lose_reply_to(sha_of("enqueue", fleet.store.address))
    assert [answer.id for answer in store.enqueue(jobs)] == [job.id for job in jobs]
    assert lost.is_set()
    store.close()
    assert fleet.store.stats(["quick"])[0].waiting == 2_500


def test_a_producer_whose_reply_was_lost_has_sent_one_job(fleet: Fleet, proxy: TcpProxy) -> None:
    store = RedisStore(lambda: RedisAddress(fleet.url(proxy.port)), fleet.store.keys.namespace)
    store.ping()
    lost = proxy.lose_reply_to(sha_of("enqueue", fleet.store.address))
    job = signed(NewJob("quick-1", "quick", "quick", b'[[],{"n":1},{},0]'))
    assert [accepted.id for accepted in store.enqueue([job])] == ["quick-1"]
    assert lost.is_set()
    proxy.mode = Mode.DROP_REPLIES
    with pytest.raises(StoreUnavailable):
        store.enqueue([job._replace(id="quick-2")])
    proxy.mode = Mode.FORWARD
    assert [a.created for a in store.enqueue([job._replace(id="quick-2")])] == [False]
    store.close()
    assert fleet.store.stats(["quick"])[0].waiting == 2
