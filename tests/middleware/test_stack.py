"""The middleware of every job: which, in which order and why, and how the settings change it."""

import asyncio
from typing import Any

import pytest
from dramatiq import group
from dramatiq.middleware import AgeLimit, CurrentMessage

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, fake, inline
from jobs.memory import MemoryStore
from jobs.states import JobState
from middleware.stack import STACK
from settings import Settings, SettingsError, load_settings
from tests.fundamentals.stage import make_app
from tests.middleware.extras import Noting, Rules
from tests.middleware.steps import details, events, job_of

#: The whole suite from the top down; a place that is not there yet leaves no gap.
ORDER = [
    "telemetry",
    "metrics",
    "alerts",
    "audit",
    "tenancy",
    "dead_letters",
    "outcomes",
    "group_callbacks",
    "pipelines",
    "callbacks",
    "retries",
    "releases",
    "validation",
    "deadlines",
    "result_cache",
    "limits",
    "providers",
    "time_limit",
    "async_io",
    "current_message",
    "results",
    "steps",
    "job_log",
    "progress",
]


def test_the_order_is_written_down_with_a_reason_for_each_place() -> None:
    names = [place.name for place in STACK]
    assert names == [name for name in ORDER if name in names]
    assert all(len(place.reason) > 20 for place in STACK)


def test_the_broker_has_them_in_this_order(app: App) -> None:
    lifecycle, *stack = app.broker.middleware
    assert type(lifecycle).__name__ == "Lifecycle"
    modules = [type(middleware).__name__ for middleware in stack]
    expected = ["Audit", "Tenancy", "DeadLetters", "Pipelines", "Callbacks", "Retries", "Releases"]
    expected += ["Validation", "TimeLimits", "EventLoop", "CurrentMessage", "Results", "Progress"]
    assert [name for name in modules if name in expected] == expected


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
    whole = [type(one) for one in make_app(monkeypatch).broker.middleware]
    app = make_app(monkeypatch, middleware={"without": [name]})
    left = [type(one) for one in app.broker.middleware]
    assert [kind for kind in whole if kind in left] == left
    assert len(whole) - len(left) <= 1  # none, when the place is switched off

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


def test_a_class_of_ones_own_may_take_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [type(one) for one in make_app(monkeypatch).broker.middleware]
    app = make_app(monkeypatch, middleware={"replace": {"progress": "tests.middleware.extras.Noting"}})
    assert [type(one) for one in app.broker.middleware] == [*whole[:-1], Noting]


def test_one_that_needs_more_is_given_the_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch, middleware={"extra": ["tests.middleware.extras.Rules"]})
    rules = app.broker.middleware[-1]
    assert isinstance(rules, Rules)
    assert rules.ports.rules_of("any").attempts == 3


def test_dramatiqs_own_middleware_is_made_with_its_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch, middleware={"extra": ["dramatiq.middleware.AgeLimit"]})
    assert isinstance(app.broker.middleware[-1], AgeLimit)
    assert "max_age" in app.broker.actor_options


def test_a_place_can_be_replaced_from_the_environment() -> None:
    settings = load_settings({"CALLBOARD_MIDDLEWARE__REPLACE__PROGRESS": "my.package.Progress"})
    assert settings.middleware.replace == {"progress": "my.package.Progress"}


def test_the_current_message_is_the_job_that_runs_here(jobs: FakeJobs) -> None:
    seen = []

    @actor
    def plain() -> None:
        seen.append(CurrentMessage.get_current_message())

    @actor
    async def coroutine() -> None:
        await asyncio.sleep(0)
        seen.append(CurrentMessage.get_current_message())

    sent = [plain.send().message_id, coroutine.send().message_id]
    jobs.run_all()
    assert sorted(message.message_id for message in seen if message) == sorted(sent)
    assert CurrentMessage.get_current_message() is None


def test_stock_group_callbacks_work_once_they_have_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    own = "tests.middleware.extras.Groups"
    there = any(place.name == "group_callbacks" for place in STACK)
    chosen = {"replace": {"group_callbacks": own}} if there else {"extra": [own]}
    app = make_app(monkeypatch, MemoryStore(), middleware=chosen)
    ran = []

    @actor
    def part(number: int) -> None:
        ran.append(number)

    @actor
    def whole() -> None:
        ran.append(0)

    with fake(app.broker) as jobs:
        parts = group([part.message(number) for number in (1, 2, 3)], broker=app.broker)
        parts.add_completion_callback(whole.message())
        parts.run()
        jobs.run_all()
    assert ran == [1, 2, 3, 0]


@pytest.mark.parametrize(
    ("middleware", "reason"),
    [
        ({"without": ["retry"]}, "middleware.without names 'retry', but there is only "),
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
            {"extra": ["dramatiq.middleware.Retries"]},
            "but the stack has its own Retries, and each run would be decided twice",
        ),
        (
            {"extra": ["tests.middleware.extras.NeedsArguments"]},
            "whose __init__ needs url: it may need nothing, or one argument, the ports",
        ),
        (
            {"extra": ["dramatiq.middleware.GroupCallbacks"]},
            "whose __init__ needs rate_limiter_backend: .* derive a class of your own",
        ),
        (
            {"extra": ["tests.middleware.extras.Breaking"]},
            "'tests.middleware.extras.Breaking', which cannot be made: LookupError: no licence",
        ),
        ({"extra": ["tests.middleware.extras.NoMiddleware"]}, "which is no dramatiq.Middleware"),
        (
            {"replace": {"progres": "tests.middleware.extras.Noting"}},
            "middleware.replace names 'progres', but there is only ",
        ),
        (
            {"replace": {"progress": "no.such.Thing"}},
            "middleware.replace.progress names 'no.such.Thing', which cannot be loaded",
        ),
        (
            {"replace": {"progress": "tests.middleware.extras.Noting"}, "without": ["progress"]},
            "middleware.without and middleware.replace both name 'progress'",
        ),
    ],
)
def test_a_stack_that_cannot_be_built_is_refused_at_the_start(
    middleware: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        App(Settings(middleware=middleware), MemoryStore())
