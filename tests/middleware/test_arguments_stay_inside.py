"""What a job was given is in no record, no audit detail and no log, whatever an exception quotes."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import CallboardError, InvalidPayload, PermanentError, RetryAfter, StoreUnavailable
from tests.fundamentals.stage import StartWorker
from tests.middleware.steps import error_of, events
from tests.waiting import eventually


@dataclass
class Card:
    number: str


class Login(BaseModel):
    user: str
    password: SecretStr


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=st.text(st.characters(codec="utf-8"), min_size=4, max_size=300))
def test_no_text_of_the_caller_gets_out_of_its_job(jobs: FakeJobs, secret: str) -> None:
    assume(len(secret.strip()) >= 4)
    if "reading" not in jobs._broker.actors:

        @actor(queue="reading", attempts=1)
        def reading(text: str) -> None:
            raise ValueError(f"cannot read {text!r} of {text}")

    said, told = failure(jobs, secret)
    assert said.startswith("cannot read ")
    if secret in said or secret in told:
        # Words such as `broker` are in the stack of every failure.
        said, told = failure(jobs, "\N{SNOWMAN}" * len(secret))
        assert secret in said or secret in told


def failure(jobs: FakeJobs, argument: str) -> tuple[str, str]:
    """What the store and the audit are told when a job with this argument has failed."""
    jobs._broker.get_actor("reading").send(argument)
    jobs.run_all()
    (event,) = events(jobs)
    return error_of(jobs, event.job_id)["message"], event.detail.decode()


@pytest.mark.parametrize(
    "kind",
    [
        ValueError,
        KeyError,
        PermanentError,
        InvalidPayload,
        StoreUnavailable,
        lambda text: RetryAfter(0, text),
    ],
)
def test_this_holds_for_errors_of_ours_that_an_actor_raises(
    jobs: FakeJobs, kind: Callable[[str], Exception]
) -> None:
    @actor(attempts=2, backoff={"delay": 0})
    def login(password: str) -> None:
        raise kind(f"no entry with {password}")

    message = login.send("hunter2")
    jobs.run_all()
    assert "no entry with [argument]" in error_of(jobs, message)["message"]
    assert b"hunter2" not in b"".join(event.detail for event in events(jobs))


def test_it_holds_for_what_the_actor_returns_as_its_error(jobs: FakeJobs) -> None:
    @actor
    def login(password: str) -> dict[str, object]:
        return {"success": False, "error": f"no entry with {password}"}

    message = login.send("hunter2")
    jobs.run_all()
    assert error_of(jobs, message)["message"] == "no entry with [argument]"


def test_it_holds_for_values_within_lists_data_classes_and_models(jobs: FakeJobs) -> None:
    @actor(attempts=1)
    def pay(card: Card, login: Login, others: dict[str, list[int]]) -> None:
        raise ValueError(f"{card.number} {login.password.get_secret_value()} {others}")

    message = pay.send(
        Card("4012-8888"),
        {"user": "ada", "password": "hunter2"},  # type: ignore[arg-type]
        {"budget": [12345]},
    )
    jobs.run_all()
    assert error_of(jobs, message)["message"] == "[argument] [argument] {'[argument]': [[argument]]}"


def test_our_refusal_of_arguments_keeps_its_words_because_it_names_no_value(jobs: FakeJobs) -> None:
    @actor
    def count(number: int) -> None: ...

    with pytest.raises(CallboardError) as refused:
        count.send("numb")  # type: ignore[arg-type]
    assert "number: input should be a valid integer" in str(refused.value)


def test_a_real_worker_logs_no_argument_not_even_when_it_logs_everything(
    real_app: App, running_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    @actor(attempts=1)
    def convert(text: str) -> float:
        return float(text)

    caplog.set_level(logging.DEBUG)
    message = convert.send("hunter2-secret")
    running_worker()
    eventually(lambda: (job := real_app.store.get(message.message_id)) and job.state.settled)
    eventually(lambda: "is a dead letter" in caplog.text)
    assert "could not convert string to float: '[argument]'" in caplog.text
    assert "hunter2" not in caplog.text


def test_it_holds_while_the_job_waits_to_be_tried_again(jobs: FakeJobs) -> None:
    @actor(attempts=2, backoff={"delay": 60_000})
    def login(password: str) -> None:
        raise ValueError(f"no entry with {password}")

    message = login.send_with_options(kwargs={"password": "hunter2"})
    jobs.run_all()
    assert error_of(jobs, message)["message"] == "no entry with [argument]"
