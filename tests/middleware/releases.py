"""An application of each release, and jobs that one of them sent to another."""

from collections.abc import Callable
from typing import Any

import dramatiq
import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, fake
from jobs.memory import MemoryStore
from middleware import releases
from middleware.releases import Stamp, stamp_of
from tests.fundamentals.stage import make_app
from tests.middleware.steps import job_of

Fleet = Callable[..., App]


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """An application of a release; jobs go from one to another with `hand_over`."""
    return lambda release: make_app(monkeypatch, MemoryStore(), release=release)


def hand_over(sent: FakeJobs, to: App) -> FakeJobs:
    """The other release's workers, on the jobs that were sent."""
    jobs = FakeJobs(to.broker, to.rules_of)
    jobs.store = sent.store
    return jobs


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the minute for a newer worker were over."""
    monkeypatch.setattr(releases, "NEWER_S", 0.0)


def stamp(jobs: FakeJobs, message: "dramatiq.Message[Any]") -> Stamp:
    found = stamp_of(jobs._broker.decode(job_of(jobs, message)).options)
    assert found is not None
    return found


def sent_by_release_1(fleet: Fleet, *args: Any, **kwargs: Any) -> tuple[FakeJobs, Any]:
    app = fleet(1)

    @actor
    def mailbox_sync(account: str, days: int = 7) -> None: ...

    with fake(app.broker) as jobs:
        return jobs, mailbox_sync.send(*args, **kwargs)
