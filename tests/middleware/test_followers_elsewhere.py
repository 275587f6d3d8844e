"""What follows cannot always be in the verdict: then it goes before, and is not lost when that fails."""

from collections.abc import Sequence
from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from jobs.backoff import Backoff
from jobs.errors import StoreUnavailable
from jobs.model import Accepted, NewJob
from jobs.states import JobState
from tests.broker.workers import state_of
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually


def test_a_job_whose_follower_cannot_be_sent_runs_again_and_spends_no_attempt(
    real_app: App, running_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []

    @actor
    def told(message: dict[str, Any], result: int) -> int:
        return result

    @actor(on_success="told", attempts=1)
    def seven() -> int:
        runs.append(7)
        return 7

    # No verdict carries anything here, as if the callback's queue were in another shard.
    monkeypatch.setattr("broker.following.MOST_JOBS", 0)
    monkeypatch.setattr("broker.worker.unsent.WAIT", Backoff("fixed", 300))
    enqueue, away = real_app.store.enqueue, [True, True]

    def failing(jobs: Sequence[NewJob]) -> list[Accepted]:
        if jobs[0].actor == "told" and away:
            away.pop()
            raise StoreUnavailable("the other shard is away")
        return enqueue(jobs)

    monkeypatch.setattr(real_app.store, "enqueue", failing)
    message = seven.send()
    running_worker()
    eventually(lambda: not away)
    eventually(lambda: real_app.store.stats(["told"])[0].completed_total == 1, timeout=20)
    # The follower goes before the verdict: it may be done while that is still under way.
    eventually(lambda: state_of(real_app.store, message.message_id) is JobState.COMPLETED)
    job = real_app.store.get(message.message_id)
    assert runs == [7, 7, 7]
    assert job is not None
    assert job.attempts == 1
