"""What becomes of a job that this worker does not know, or cannot read."""

import pytest

from broker.codec import Codec
from broker.proxy import JobProxy
from broker.worker.intake import (
    ASK_EVERY_S,
    MOST_STRANGERS,
    UNKNOWN_ACTOR_DELAY_MS,
    UNKNOWN_ACTOR_S,
    Intake,
)
from jobs.errors import StoreUnavailable
from jobs.model import FetchedJob, Outcome, Verdict, WorkerInfo
from jobs.rules import QueueRules
from tests.broker.hands import PAYLOAD


class Registry:
    """The live workers, or none to ask."""

    def __init__(self) -> None:
        self.workers: list[WorkerInfo] = []
        self.asked = 0
        self.away = False

    def __call__(self) -> list[WorkerInfo]:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("the store is away")
        return self.workers


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr("broker.worker.intake.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def intake(registry: Registry, now: list[float]) -> Intake:
    return Intake("me", {"known"}, Codec(), lambda queue: QueueRules(dead_letter="lost"), registry)


def worker(owner: str, *, queue: str = "q", actors: tuple[str, ...] = ()) -> WorkerInfo:
    return WorkerInfo(owner, "host", 1, "0.1", 2, (queue,), started_at=0, actors=actors)


def a_job(actor: str, payload: bytes = PAYLOAD, job_id: str = "one") -> FetchedJob:
    return FetchedJob(job_id, "q", actor, payload, 1, 1, 3, 5, "", 0, 1, 1, 1)


def outcome(verdict: JobProxy | Verdict) -> tuple[Outcome, int]:
    assert isinstance(verdict, Verdict)
    return verdict.outcome, verdict.delay_ms


LATER = (Outcome.RETURNED, UNKNOWN_ACTOR_DELAY_MS)
DEAD = (Outcome.FAILED, 0)


def test_a_job_that_can_run_knows_who_has_it(intake: Intake) -> None:
    proxy = intake(a_job("known"))
    assert isinstance(proxy, JobProxy)
    assert proxy.owner == "me"


def test_what_cannot_be_read_is_a_dead_letter(intake: Intake) -> None:
    verdict = intake(a_job("known", b"garbage"))
    assert outcome(verdict) == DEAD
    assert isinstance(verdict, Verdict)
    assert verdict.dead_letter == "lost"
    assert b"garbage" not in (verdict.record or b"")


def test_an_unknown_actors_job_waits_for_a_worker_that_knows_it(intake: Intake, registry: Registry) -> None:
    assert outcome(intake(a_job("new"))) == LATER


def test_after_a_minute_it_is_dead_when_no_live_worker_knows_the_actor(
    intake: Intake, registry: Registry, now: list[float]
) -> None:
    registry.workers = [worker("me"), worker("other", actors=("known",))]
    intake(a_job("new"))
    now[0] += UNKNOWN_ACTOR_S
    verdict = intake(a_job("new"))
    assert outcome(verdict) == DEAD
    assert isinstance(verdict, Verdict)
    assert b"no worker knows an actor named 'new'" in (verdict.record or b"")


@pytest.mark.parametrize(
    "knowing",
    [worker("other", actors=("known", "new")), worker("older-release")],
    ids=["lists it", "lists nothing"],
)
def test_it_waits_as_long_as_a_worker_lives_that_knows_the_actor_or_may(
    intake: Intake, registry: Registry, now: list[float], knowing: WorkerInfo
) -> None:
    registry.workers = [worker("me", actors=("known",)), knowing]
    intake(a_job("new"))
    now[0] += UNKNOWN_ACTOR_S * 10
    assert outcome(intake(a_job("new"))) == LATER
    registry.workers = registry.workers[:1]
    now[0] += ASK_EVERY_S
    assert outcome(intake(a_job("new"))) == LATER, "it may be restarted"
    now[0] += UNKNOWN_ACTOR_S - ASK_EVERY_S - 1
    assert outcome(intake(a_job("new"))) == LATER
    now[0] += 1
    assert outcome(intake(a_job("new"))) == DEAD


@pytest.mark.parametrize("minutes", [0.5, 1.0, 2.2])
def test_a_rolling_deploy_that_restarts_the_one_that_knows_it_kills_no_job(
    intake: Intake, registry: Registry, now: list[float], minutes: float
) -> None:
    knowing = worker("other", actors=("new",))
    registry.workers = [knowing]
    for _ in range(round(minutes * 60 / 3)):
        assert outcome(intake(a_job("new"))) == LATER
        now[0] += 3.0
    registry.workers = []
    for _ in range(15):
        assert outcome(intake(a_job("new"))) == LATER, "a restart takes under a minute"
        now[0] += 3.0
    registry.workers = [knowing]
    assert outcome(intake(a_job("new"))) == LATER


def test_a_worker_that_does_not_serve_the_queue_is_not_waited_for(
    intake: Intake, registry: Registry, now: list[float]
) -> None:
    registry.workers = [worker("other", queue="another", actors=("new",))]
    intake(a_job("new"))
    now[0] += UNKNOWN_ACTOR_S
    assert outcome(intake(a_job("new"))) == DEAD


def test_a_registry_that_cannot_be_asked_condemns_nobody(
    intake: Intake, registry: Registry, now: list[float]
) -> None:
    registry.away = True
    intake(a_job("new"))
    now[0] += UNKNOWN_ACTOR_S
    assert outcome(intake(a_job("new"))) == LATER


def test_the_registry_is_asked_once_in_ten_seconds(
    intake: Intake, registry: Registry, now: list[float]
) -> None:
    registry.workers = [worker("other", actors=("new",))]
    for number in range(50):
        intake(a_job("new", job_id=str(number)))
    assert registry.asked == 1
    now[0] += ASK_EVERY_S
    for number in range(50):
        intake(a_job("new", job_id=str(number)))
    assert registry.asked == 2


def test_a_minute_after_the_last_that_knew_the_actor_all_its_jobs_are_dead(
    intake: Intake, registry: Registry, now: list[float]
) -> None:
    """Also those that this process meets for the first time, and when there are more than it remembers."""
    intake(a_job("new"))
    now[0] += UNKNOWN_ACTOR_S
    for number in range(MOST_STRANGERS + 10):
        intake(a_job("new", job_id=str(number)))
    assert outcome(intake(a_job("new", job_id="next"))) == DEAD
    assert outcome(intake(a_job("newer"))) == LATER, "of an actor that was not met before"
