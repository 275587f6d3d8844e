"""5. A job that failed for good is kept with its reason, and routed to its queue's dead-letter queue."""

import orjson
import pytest

from actors.declare import actor
from broker.testing import FakeJobs, fake
from jobs.states import JobState
from tests.fundamentals.stage import make_app


def test_a_dead_letter_says_what_went_wrong_and_where(jobs: FakeJobs) -> None:
    @actor(attempts=1)
    def charge(card: str) -> None:
        raise ValueError("no such card: 4111111111111111 of ada@example.org")

    charge.send("4111111111111111")
    jobs.run_all()

    (dead,) = jobs.store.list_jobs("charge", JobState.FAILED)
    assert dead.dead_letter == "dead-letter"
    error = orjson.loads(dead.record or b"")["error"]
    assert error["type"] == "ValueError"
    assert error["message"] == "no such card: [argument] of [address]"
    assert error["stack"][-1].endswith(" in charge")


def test_dead_letters_are_counted_at_the_queue_they_were_routed_to(jobs: FakeJobs) -> None:
    @actor(attempts=1)
    def charge(card: str) -> None:
        raise ValueError

    charge.send("1")
    charge.send("2")
    jobs.run_all()

    of_the_queue, of_the_letters = jobs.store.stats(["charge", "dead-letter"])
    assert (of_the_queue.failed, of_the_queue.failed_total) == (2, 2)
    assert of_the_letters.dead_letters == 2


def test_a_queue_may_have_dead_letters_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    queues = {"charge": {"dead_letter": "unpaid", "attempts": 1}}
    app = make_app(monkeypatch, home=tmp_path_factory.mktemp("home"), queues=queues)

    @actor
    def charge(card: str) -> None:
        raise ValueError

    with fake(app.broker) as jobs:
        charge.send("1")
        jobs.run_all()
        assert jobs.store.stats(["unpaid"])[0].dead_letters == 1
