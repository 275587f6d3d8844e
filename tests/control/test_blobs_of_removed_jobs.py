"""The blob of a job's large arguments goes with the job that an operator removes, and stays with others."""

from pathlib import Path
from typing import Any

import pytest

from actors.composition import App
from actors.declare import actor
from control.service import JobActions
from jobs.errors import StoreUnavailable
from jobs.memory import MemoryStore
from tests.fundamentals.stage import make_app
from tests.sealed import KEYS
from tests.tables import give_tables


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> App:
    app = make_app(
        monkeypatch, MemoryStore(), home=tmp_path, keys=KEYS, queues={"reports": {"payload_blob": True}}
    )
    give_tables(app.engine())

    @actor(queue="reports")
    def report(data: str) -> None: ...

    return app


def send(app: App, number: int, **options: Any) -> list[str]:
    report = app.broker.actors["report"]
    return [report.send_with_options(args=("z" * 200_000,), **options).message_id for _ in range(number)]


def blobs(app: App) -> list[str]:
    return [job_id for _, job_id, *_ in app.blobs().page("", 10**15, 100)]


def test_it_goes_with_the_job_and_those_of_others_stay(roomy: App) -> None:
    first, second = send(roomy, 2)
    (answer,) = JobActions(roomy, "ada").remove([first])
    assert (answer.done, blobs(roomy)) == (True, [second])


def test_a_cancelled_job_keeps_it_because_it_may_be_retried(roomy: App) -> None:
    (job_id,) = send(roomy, 1)
    actions = JobActions(roomy, "ada")
    actions.cancel([job_id])
    assert actions.retry([job_id])[0].done
    assert blobs(roomy) == [job_id]


def test_a_job_that_is_not_removed_keeps_it(roomy: App, monkeypatch: pytest.MonkeyPatch) -> None:
    (job_id,) = send(roomy, 1)
    monkeypatch.setattr(roomy.store, "remove", lambda ids: [False] * len(ids))
    assert not JobActions(roomy, "ada").remove([job_id])[0].done
    assert blobs(roomy) == [job_id]


def test_a_blob_store_that_is_away_does_not_fail_the_removal(
    roomy: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (job_id,) = send(roomy, 1)

    def away() -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(roomy, "blobs", away)
        assert JobActions(roomy, "ada").remove([job_id])[0].done
    assert "1 blobs of removed jobs stay until the sweep: StoreUnavailable" in caplog.text
    assert blobs(roomy) == [job_id]
