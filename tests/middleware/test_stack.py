"""The middleware of every job: which, in which order and why, and how the settings change it."""

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, fake, inline
from jobs.memory import MemoryStore
from jobs.states import JobState
from middleware.stack import STACK
from settings import Settings
from tests.fundamentals.stage import make_app
from tests.middleware.extras import Noting
from tests.middleware.steps import details, events, job_of


def test_the_order_is_written_down_with_a_reason_for_each_place() -> None:
    assert [place.name for place in STACK] == [
        "audit",
        "dead_letters",
        "pipelines",
        "callbacks",
        "retries",
        "validation",
        "time_limit",
        "async_io",
        "results",
        "progress",
    ]
    assert all(len(place.reason) > 20 for place in STACK)


def test_the_broker_has_them_in_this_order(app: App) -> None:
    first, *names = [type(middleware).__name__ for middleware in app.broker.middleware]
    assert first == "Lifecycle"
    assert names == [
        "Audit",
        "DeadLetters",
        "Pipelines",
        "Callbacks",
        "Retries",
        "Validation",
        "TimeLimits",
        "AsyncIO",
        "Results",
        "Progress",
    ]


def test_the_audit_is_first_because_it_records_what_all_others_decided(jobs: FakeJobs) -> None:
    @actor
    def declined() -> dict[str, object]:
        return {"success": False, "error": "declined"}

    declined.send()
    jobs.run_all()
    (detail,) = details(jobs)
    assert (detail.error_code, detail.reason) == ("permanent", "declined")  # retries judged before it


def test_dead_letters_come_after_retries_because_only_what_was_given_up_is_dead(jobs: FakeJobs) -> None:
    @actor(attempts=2, backoff={"delay": 0})
    def failing() -> None:
        raise ValueError

    message = failing.send()
    jobs.run_all()
    assert [event.outcome.value for event in events(jobs)] == ["retry", "failed"]
    assert job_of(jobs, message).dead_letter == "dead-letter"


@pytest.mark.parametrize("name", [place.name for place in STACK])
def test_each_place_can_be_left_out_and_jobs_still_run(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    app = make_app(monkeypatch, middleware={"without": [name]})
    assert len(app.broker.middleware) == len(STACK)  # without one, with the lifecycle

    @actor
    def add(x: int, y: int) -> int:
        return x + y

    with fake(app.broker) as jobs:
        message = add.send(1, 2)
        jobs.run_all()
        assert job_of(jobs, message).state is JobState.COMPLETED


def test_without_validation_arguments_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch, middleware={"without": ["validation"]})
    got = []

    @actor
    def add(x: int) -> None:
        got.append(x)

    with inline(app.broker):
        add.send("one")  # type: ignore[arg-type]
    assert got == ["one"]
    assert app.schema("add")["required"] == ["x"]  # the API still knows what it takes


def test_without_retries_a_failure_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch, middleware={"without": ["retries"]})

    @actor
    def failing() -> None:
        raise ValueError

    with fake(app.broker) as jobs:
        message = failing.send()
        jobs.run_all()
        job = job_of(jobs, message)
        assert (job.state, job.attempts, job.dead_letter) == (JobState.FAILED, 1, "dead-letter")


def test_middleware_of_ones_own_is_added_at_the_end_by_its_dotted_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make_app(monkeypatch, middleware={"extra": ["tests.middleware.extras.Noting"]})
    assert isinstance(app.broker.middleware[-1], Noting)

    @actor
    def add(x: int) -> None: ...

    with inline(app.broker):
        add.send(1)
    assert Noting.heard == ["before add"]


@pytest.mark.parametrize(
    ("middleware", "reason"),
    [
        ({"without": ["retry"]}, "middleware.without names 'retry', but there is only audit, dead_letters"),
        (
            {"extra": ["no.such.Thing"]},
            "middleware.extra names 'no.such.Thing', which cannot be loaded: No mod",
        ),
        (
            {"extra": ["tests.middleware.extras.Nothing"]},
            "which cannot be loaded: module .* has no attribute",
        ),
        ({"extra": ["Nothing"]}, "which cannot be loaded: Empty module name"),
        (
            {"extra": ["tests.middleware.extras.NeedsArguments"]},
            "which cannot be loaded: .* missing 1 required",
        ),
        ({"extra": ["tests.middleware.extras.NoMiddleware"]}, "which is no dramatiq.Middleware"),
    ],
)
def test_a_stack_that_cannot_be_built_is_refused_at_the_start(
    middleware: dict[str, list[str]], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        App(Settings(middleware=middleware), MemoryStore())
