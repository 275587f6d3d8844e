"""11. Limits: how many at once and how fast, over all workers, for a queue, a tenant or a gate.

They are settings of the queue, and can be changed while everything runs. What may not run now keeps its
place and costs nothing: no attempt, no thread, no polling. Others go on.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from jobs.model import QueueStats, Scope
from jobs.rules import Rate
from jobs.states import JobState
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually


@pytest.fixture
def policies() -> dict[str, Any]:
    return {
        "queues": {
            "capped": {"global_concurrency": 2},
            "fair": {"tenant_concurrency": 1},
            "gated": {"gate_concurrency": 2},
            "slow": {"rate": "3/h"},
            "slow-tenants": {"tenant_rate": "2/h"},
            "one": {"share": "pair", "global_concurrency": 1},
            "two": {"share": "pair", "global_concurrency": 1},
        }
    }


class Crowd:
    """How many run now and ran at most at once, by name; `go_on` lets them end."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.go_on = threading.Event()
        self._lock = threading.Lock()

    def enter(self, name: str) -> None:
        with self._lock:
            self.now[name] += 1
            self.most[name] = max(self.most[name], self.now[name])
        self.go_on.wait(40)
        with self._lock:
            self.now[name] -= 1


@contextmanager
def crowd() -> Iterator[Crowd]:
    crowd = Crowd()
    try:
        yield crowd
    finally:
        crowd.go_on.set()


def stats(app: App, queue: str) -> QueueStats:
    (row,) = app.store.stats([queue])
    return row


def test_a_queue_has_so_many_at_once_over_all_workers(real_app: App, running_worker: StartWorker) -> None:
    with crowd() as inside:

        @actor(queue="capped")
        def work() -> None:
            inside.enter("all")

        for _ in range(6):
            work.send()
        running_worker()
        eventually(lambda: inside.now["all"] == 2)
        assert stats(real_app, "capped").active == 2
        inside.go_on.set()
        real_app.broker.join("capped", timeout=40_000)
    assert inside.most["all"] == 2


def test_queues_of_one_share_count_together(real_app: App, running_worker: StartWorker) -> None:
    with crowd() as inside:

        @actor(queue="one")
        def first() -> None:
            inside.enter("both")

        @actor(queue="two")
        def second() -> None:
            inside.enter("both")

        for _ in range(3):
            first.send()
            second.send()
        running_worker()
        eventually(lambda: inside.now["both"] == 1)
        inside.go_on.set()
        for queue in ("one", "two"):
            real_app.broker.join(queue, timeout=40_000)
    assert inside.most["both"] == 1


def test_a_tenant_at_its_cap_waits_while_others_go_on(real_app: App, running_worker: StartWorker) -> None:
    with crowd() as inside:

        @actor(queue="fair")
        def work(tenant: str) -> None:
            inside.enter(tenant)

        for tenant in ("a", "a", "a", "b", "c"):
            work.send_with_options(args=(tenant,), tenant_id=tenant)
        running_worker()
        eventually(lambda: inside.now == {"a": 1, "b": 1, "c": 1})
        inside.go_on.set()
        real_app.broker.join("fair", timeout=40_000)
    assert inside.most == {"a": 1, "b": 1, "c": 1}


def test_a_gate_is_a_resource_of_a_tenant_with_a_cap_of_its_own(
    real_app: App, running_worker: StartWorker
) -> None:
    with crowd() as inside:

        @actor(queue="gated")
        def fetch(mailbox: str) -> None:
            inside.enter(mailbox)

        for mailbox in ("m1", "m1", "m1", "m2"):
            fetch.send_with_options(args=(mailbox,), tenant_id="acme", gate=f"mailbox:{mailbox}")
        running_worker()
        eventually(lambda: inside.now == {"m1": 2, "m2": 1})
        inside.go_on.set()
        real_app.broker.join("gated", timeout=40_000)
    assert inside.most["m1"] == 2


def test_a_gate_whose_name_begins_with_one_lets_one_through_without_any_setting(
    real_app: App, running_worker: StartWorker
) -> None:
    with crowd() as inside:

        @actor
        def print_page(printer: str) -> None:
            inside.enter(printer)

        for printer in ("p1", "p1", "p2"):
            print_page.send_with_options(args=(printer,), gate=f"one:{printer}")
        running_worker()
        eventually(lambda: inside.now == {"p1": 1, "p2": 1})
        inside.go_on.set()
        real_app.broker.join("print-page", timeout=40_000)
    assert inside.most == {"p1": 1, "p2": 1}


def test_a_rate_lets_so_many_start_in_a_time_and_raising_it_starts_the_rest_at_once(
    real_app: App, running_worker: StartWorker
) -> None:
    done: list[int] = []

    @actor(queue="slow")
    def call(number: int) -> None:
        done.append(number)

    for number in range(8):
        call.send(number)
    running_worker()
    eventually(lambda: stats(real_app, "slow").completed == 3)
    assert sorted(done) == [0, 1, 2]
    assert stats(real_app, "slow").waiting == 5

    real_app.store.adjust(Scope("slow"), {"rate": Rate(100, 1_000)})
    real_app.broker.join("slow", timeout=40_000)
    assert sorted(done) == list(range(8))


def test_a_tenant_out_of_starts_rests_and_its_jobs_have_spent_no_attempt(
    real_app: App, running_worker: StartWorker
) -> None:
    done: list[str] = []

    @actor(queue="slow-tenants")
    def call(tenant: str) -> None:
        done.append(tenant)

    sent = [call.send_with_options(args=(tenant,), tenant_id=tenant) for tenant in ("a", "a", "a", "b")]
    running_worker()
    eventually(lambda: sorted(done) == ["a", "a", "b"] and stats(real_app, "slow-tenants").resting == 1)
    job = real_app.store.get(sent[2].message_id)
    assert job is not None
    assert (job.state, job.attempts) == (JobState.WAITING, 0)
