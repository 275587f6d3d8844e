"""Secrets that the hints of an actor do not tell of: they are met when they are sent, and encrypted."""

import itertools
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, NewType, TypeVar

import pytest
from pydantic import BaseModel, SecretStr, SerializeAsAny
from typing_extensions import TypeAliasType

from actors.composition import App
from actors.declare import actor
from broker.codec import is_secret
from control.service import JobService
from jobs.errors import InvalidPayload
from jobs.marks import PII, Secret
from jobs.model import Job
from middleware.contract import Contract
from middleware.steps import step
from tests.clear_text import keys_with
from tests.fundamentals.stage import StartWorker, make_app
from tests.waiting import eventually

CARD = "hunter2-4111111111111111"


class Base(BaseModel):
    number: int = 1


class Marked(Base):
    card: Annotated[str, Secret] = CARD


class Holder(BaseModel):
    held: Any


@dataclass
class Card:
    number: Annotated[str, PII]


@dataclass(slots=True)
class Slim:
    number: Annotated[str, PII]


@dataclass
class Plain:
    number: int
    _kept: int = 2


class Row(NamedTuple):
    card: Annotated[str, Secret]


Token = NewType("Token", Annotated[str, Secret])
Kept = NewType("Kept", Marked)
Bound = TypeVar("Bound", bound=Marked)
OneOf = TypeVar("OneOf", Marked, int)
Item = TypeVar("Item")
Many = TypeAliasType("Many", list[Item], type_params=(Item,))


@pytest.mark.parametrize("hint", [Token, list[Token], Kept, Bound, OneOf, Many[Token], list[Kept]], ids=str)
def test_what_stands_for_another_hint_is_looked_into(hint: Any) -> None:
    def function(given: Any) -> None: ...

    function.__annotations__["given"] = hint
    assert Contract("function", function).private == {"given"}


GIVEN: list[tuple[Any, Any]] = [
    (Base, Marked()),
    (SerializeAsAny[Base], Marked()),
    (BaseModel, Marked()),
    (object, Marked()),
    (Any, Marked()),
    (Any, [{"a": Marked()}]),
    (Any, Holder(held=Marked())),
    (Any, Holder(held=[{"a": Card(CARD)}])),
    (Any, Holder(held=SecretStr(CARD))),
    (Any, Card(CARD)),
    (Any, Slim(CARD)),
    (Any, Row(CARD)),
    (Any, SecretStr(CARD)),
    (dict[str, Any], {"a": [SecretStr(CARD)]}),
    (Any, {SecretStr(CARD)}),
]


_numbers = itertools.count()


def taking(hint: Any) -> Any:
    def take(given: Any) -> None: ...

    take.__annotations__["given"] = hint
    return actor(queue="take", actor_name=f"take-{next(_numbers)}")(take)


def stored(app: App, message: Any) -> Job:
    job = app.store.get(message.message_id)
    assert job is not None
    return job


def test_a_payload_with_a_secret_in_it_is_encrypted(real_app: App) -> None:
    for hint, value in GIVEN:
        message = taking(hint).send(value)
        assert is_secret(stored(real_app, message)), (hint, value)
        assert keys_with(real_app, CARD) == [], (hint, value)
        assert CARD not in str(JobService(real_app).get(message.message_id))


def test_one_without_is_only_signed(real_app: App) -> None:
    for value in (Base(), Holder(held=[1, Base()]), Plain(3), {"a": (1, {2})}, [CARD]):
        assert not is_secret(stored(real_app, taking(Any).send(value)))
    job = stored(real_app, taking(Any).send(Plain(3)))
    assert b'{"number":3}' in job.payload  # as orjson itself writes a data class


def test_a_queue_without_encryption_refuses_it(monkeypatch: pytest.MonkeyPatch, real_app: App) -> None:
    app = make_app(
        monkeypatch,
        home=real_app.settings.home,
        redis=real_app.settings.redis,
        queues={"take": {"encryption": False}},
    )
    for hint, value in GIVEN:
        take = taking(hint)
        with pytest.raises(InvalidPayload) as refused:
            take.send(value)
        assert str(refused.value) == (
            f"{take.actor_name}: an argument is, or holds, what is Secret or PII, but "
            "queues.take.encryption is false: remove the setting, or the mark."
        )
    taking(Any).send(Base())
    app.broker.close()
    app.engine().dispose()


def test_it_arrives_and_what_comes_of_it_is_encrypted_too(real_app: App, running_worker: StartWorker) -> None:
    @actor(queue="take")
    def take(given: Any) -> str:
        return f"got {given}"

    message = take.send(SecretStr(CARD))
    running_worker()
    eventually(lambda: stored(real_app, message).state.settled)
    assert message.get_result() == f"got {CARD}"
    assert keys_with(real_app, CARD) == []


def test_a_secret_that_a_job_in_clear_wants_to_keep_as_a_step_is_refused(
    real_app: App, running_worker: StartWorker
) -> None:
    @actor(queue="take", attempts=2)
    def take() -> None:
        step("token", lambda: SecretStr(CARD))

    message = take.send()
    running_worker()
    eventually(lambda: stored(real_app, message).state.settled)
    assert b"holds a secret, and its job is not encrypted" in (stored(real_app, message).record or b"")
    assert keys_with(real_app, CARD) == []
