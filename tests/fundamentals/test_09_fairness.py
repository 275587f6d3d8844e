"""9. Tenants take turns. Whoever adds a hundred thousand jobs makes the others wait for about one.

`tenant_id` puts a job into its tenant's lane. Lanes are served in turn, by their weights in the settings;
in a lane the first job comes first. Jobs without a tenant share one lane. The queue here runs one job at a
time, so that `done` is the order of the starts.
"""

import threading
from collections import Counter
from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually


@pytest.fixture
def policies() -> dict[str, Any]:
    return {
        "queues": {
            "letters": {"concurrency": 1},
            "by-lane": {"concurrency": 1, "priority_scope": "lane"},
            "by-time": {"fairness": "time"},
        },
        "tenants": {"gold": {"weight": 3}},
    }


def test_a_flood_of_one_tenant_delays_the_next_job_of_another_by_about_one(
    real_app: App, running_worker: StartWorker
) -> None:
    done: list[str] = []
    started, go_on = threading.Event(), threading.Event()

    @actor(queue="letters")
    def write(tenant: str) -> None:
        started.set()
        go_on.wait(40)
        done.append(tenant)

    def letter(tenant: str) -> Any:
        return write.message_with_options(args=(tenant,), tenant_id=tenant)

    real_app.broker.enqueue_many(letter("big") for _ in range(1_000))
    running_worker()
    started.wait(40)  # the flood is being worked off …
    real_app.broker.enqueue(letter("small"))
    go_on.set()

    eventually(lambda: "small" in done)
    assert done.index("small") <= 2


def test_tenants_with_work_take_turns(real_app: App, running_worker: StartWorker) -> None:
    done: list[str] = []

    @actor(queue="letters")
    def write(tenant: str) -> None:
        done.append(tenant)

    for tenant in ("a", "b", "c"):
        for _ in range(10):
            write.send_with_options(args=(tenant,), tenant_id=tenant)
    running_worker()
    real_app.broker.join("letters", timeout=40_000)

    assert done[:6] == ["a", "b", "c"] * 2
    assert Counter(done) == {"a": 10, "b": 10, "c": 10}


def test_a_weight_is_a_share(real_app: App, running_worker: StartWorker) -> None:
    done: list[str] = []

    @actor(queue="letters")
    def write(tenant: str) -> None:
        done.append(tenant)

    for tenant in ("gold", "plain"):
        for _ in range(12):
            write.send_with_options(args=(tenant,), tenant_id=tenant)
    running_worker()
    real_app.broker.join("letters", timeout=40_000)

    assert Counter(done[:16]) == {"gold": 12, "plain": 4}


def test_a_tenants_own_jobs_keep_their_order(real_app: App, running_worker: StartWorker) -> None:
    done: list[int] = []

    @actor(queue="letters")
    def write(number: int) -> None:
        done.append(number)

    for number in range(20):
        write.send_with_options(args=(number,), tenant_id="acme")
    running_worker()
    real_app.broker.join("letters", timeout=40_000)
    assert done == list(range(20))


def test_a_lower_number_goes_before_all_tenants_but_not_for_ever(
    real_app: App, running_worker: StartWorker
) -> None:
    done: list[str] = []

    @actor(queue="letters")
    def write(tenant: str) -> None:
        done.append(tenant)

    write.send_with_options(args=("usual",), tenant_id="usual")
    for _ in range(40):
        write.send_with_options(args=("urgent",), tenant_id="urgent", priority=1)
    running_worker()
    real_app.broker.join("letters", timeout=40_000)

    assert 5 <= done.index("usual") <= 20, "the others go first, but one start in twenty is not theirs"


def test_with_priority_scope_lane_a_number_only_orders_its_own_tenants_jobs(
    real_app: App, running_worker: StartWorker
) -> None:
    done: list[tuple[str, int]] = []
    started, go_on = threading.Event(), threading.Event()

    @actor(queue="by-lane")
    def write(tenant: str, priority: int) -> None:
        if tenant != "nobody":
            started.set()
            go_on.wait(40)
            done.append((tenant, priority))

    running_worker()
    write.send("nobody", 5).get_result(block=True)  # the first worker tells the store the queue's rules
    write.send_with_options(args=("loud", 1), tenant_id="loud", priority=1)
    started.wait(40)
    for _ in range(10):
        write.send_with_options(args=("loud", 1), tenant_id="loud", priority=1)
    for priority in (9, 2):
        write.send_with_options(args=("quiet", priority), tenant_id="quiet", priority=priority)
    go_on.set()
    real_app.broker.join("by-lane", timeout=40_000)

    assert done[:5] == [("loud", 1), ("quiet", 2), ("loud", 1), ("quiet", 9), ("loud", 1)]


def test_with_fairness_time_a_job_costs_its_tenant_what_it_takes(jobs: FakeJobs) -> None:
    done: list[str] = []

    @actor(queue="by-time")
    def render(tenant: str) -> None:
        jobs.advance(seconds=1 if tenant == "slow" else 0.1)  # so long it runs: the clock is ours here
        done.append(tenant)

    for tenant in ("quick", "slow"):
        for _ in range(30):
            render.send_with_options(args=(tenant,), tenant_id=tenant)
    jobs.run_all()

    shares = Counter(done[:30])
    assert shares["quick"] >= 25, "ten quick ones for each slow one, once their times are known"
    assert shares["slow"] >= 2
