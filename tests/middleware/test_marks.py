"""Parameters marked Secret or PII: nothing quotes them, and they arrive with their value."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import pydantic
import pytest
from pydantic import BaseModel, Field, SecretBytes, SecretStr, field_validator
from typing_extensions import TypeAliasType, TypedDict

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import InvalidPayload
from jobs.marks import PII, Secret
from jobs.model import Job
from middleware.contract import Contract
from settings import SettingsError
from tests.fundamentals.stage import StartWorker, make_app
from tests.middleware.steps import error_of, put_unchecked
from tests.waiting import eventually

Pin = TypeAliasType("Pin", Annotated[str, Secret])


class Login(BaseModel):
    user: str
    password: SecretStr


class Person(BaseModel):
    name: Annotated[str, PII]
    friends: "list[Person]" = []


@dataclass
class Card:
    number: Annotated[str, Secret]
    expires: date


class Address(TypedDict):
    street: Annotated[str, PII]


class Pair(NamedTuple):
    key: str
    value: Annotated[str, Secret]


@dataclass
class Plain:
    number: int


@pytest.mark.parametrize(
    ("hint", "private"),
    [
        (Annotated[str, Secret], True),
        (Annotated[str, PII, Field(min_length=3)], True),
        (Annotated[str | None, PII], True),
        (Annotated[str, PII] | None, True),
        (list[Annotated[str, PII]], True),
        (dict[str, list[Annotated[str, Secret]]], True),
        (SecretStr, True),
        (SecretBytes | None, True),
        (pydantic.Secret[date], True),
        (Pin, True),
        (Login, True),
        (list[Login], True),
        (Person, True),
        (Card | int, True),
        (Address, True),
        (Pair, True),
        (str, False),
        (Annotated[str, Field(min_length=3)], False),
        (Plain, False),
        (dict[str, Any], False),
        (Any, False),
    ],
    ids=str,
)
def test_a_parameter_is_private_when_it_is_or_may_hold_what_is_marked(hint: Any, private: bool) -> None:
    assert taking(hint).private == ({"given"} if private else set())


def test_the_rest_of_the_arguments_may_be_marked_too() -> None:
    def function(first: str, *rest: Annotated[int, PII], **more: SecretStr) -> None: ...

    assert Contract("function", function).private == {"rest", "more"}


@pytest.mark.parametrize(
    ("hint", "value", "secret"),
    [
        (Annotated[int, Secret], "x7", "x7"),
        (Annotated[int, PII, Field(le=9)], 42, "42"),
        (Annotated[dict[int, int], PII], {4012: "no"}, "4012"),
        (Annotated[list[int], PII], ["q1"], "q1"),
        (Annotated[date, PII], "1. 4. 71", "71"),
        (Person, {"name": 77, "friends": [{"name": 78}]}, "7"),
        (list[Login], [{"user": 5, "password": "p9"}, {"user": "ada"}], "p9"),
        (Card, {"number": ["4012"], "expires": "0413"}, "4"),
        (Address, {"street": 12}, "12"),
        (Address, {"street": "Elm", "elm9": 1}, "elm9"),
    ],
    ids=str,
)
def test_a_refusal_quotes_nothing_of_them_not_even_two_characters(hint: Any, value: Any, secret: str) -> None:
    refusal = refused(taking(hint), given=value)
    assert refusal.startswith("function cannot take these arguments: given")
    assert secret not in refusal


class Even(BaseModel):
    number: Annotated[int, Secret]

    @field_validator("number")
    @classmethod
    def _even(cls, value: int) -> int:
        raise ValueError(f"{value} is odd" if value < 10 else "no luck")


def test_the_words_of_a_validator_are_left_out_whatever_they_say() -> None:
    for number in (7, 11):
        assert refused(taking(Even), given={"number": number}) == (
            "function cannot take these arguments: given.number: is not valid (value error)."
        )


def test_the_reasons_that_come_from_the_hints_alone_are_told() -> None:
    message = refused(taking(list[Login]), given=[{"password": "hunter2"}])
    assert "given.user: field required" in message


def test_the_values_of_the_rest_are_hidden_too() -> None:
    def function(*rest: Annotated[int, PII], **more: Annotated[int, Secret]) -> None: ...

    contract = Contract("function", function)
    with pytest.raises(InvalidPayload) as by_place:
        contract.check(("x1",), {})
    assert str(by_place.value).endswith(": an argument: is not valid (int parsing).")
    assert refused(contract, key="x1").endswith(": key: is not valid (int parsing).")


# From send to the actor


class Colour(Enum):
    RED = "red"


class Order(BaseModel):
    id: UUID
    price: Decimal
    at: datetime
    colour: Colour
    login: Login
    logins: list[Login]
    tokens: dict[str, SecretStr]
    either: SecretStr | int


class Slip(NamedTuple):
    code: SecretStr
    count: int


ORDER = Order(
    id=UUID("0190b8a5-3c1f-7000-8000-0123456789ab"),
    price=Decimal("900.50"),
    at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
    colour=Colour.RED,
    login=Login(user="ada", password=SecretStr("hunter2")),
    logins=[Login(user="bob", password=SecretStr("**********"))],
    tokens={"a": SecretStr("t-1")},
    either=SecretStr("e-1"),
)


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_job_arrives_through_the_server_as_it_was_sent_secrets_included(
    real_app: App, running_worker: StartWorker, kind: str
) -> None:
    got: list[Any] = []

    def take(
        order: Order,
        key: SecretStr,
        raw: SecretBytes,
        day: pydantic.Secret[date],
        card: Card,
        address: Address,
        slip: Slip,
        keys: set[SecretStr],
        more: deque[SecretStr],
    ) -> None:
        got.extend([order, key, raw, day, card, address, slip, keys, more])

    async def take_async(
        order: Order,
        key: SecretStr,
        raw: SecretBytes,
        day: pydantic.Secret[date],
        card: Card,
        address: Address,
        slip: Slip,
        keys: set[SecretStr],
        more: deque[SecretStr],
    ) -> None:
        await asyncio.sleep(0)
        take(order, key, raw, day, card, address, slip, keys, more)

    given: list[Any] = [
        ORDER,
        SecretStr("hunter2"),
        SecretBytes(b"raw"),
        pydantic.Secret[date](date(2026, 3, 1)),
        Card("4012-8888", date(2027, 1, 1)),
        {"street": "Elm Street"},
        Slip(SecretStr("code"), 2),
        {SecretStr("k-1")},
        deque([SecretStr("m-1")]),
    ]
    function: Any = take if kind == "plain" else take_async
    actor(queue="take")(function).send(*given)
    running_worker()
    eventually(lambda: len(got) == len(given))
    assert got == given
    assert got[0].login.password.get_secret_value() == "hunter2"


def test_two_secrets_are_two_unique_keys(jobs: FakeJobs) -> None:
    @actor(unique=True)
    def login(password: SecretStr) -> None: ...

    sent = [login.send(SecretStr(one)) for one in ("hunter2", "letmein", "hunter2")]
    assert [message.created for message in sent] == [True, True, False]


# A queue that is not to be encrypted


@pytest.mark.parametrize("setting", ["queues", "queue_defaults"])
def test_a_queue_without_encryption_refuses_an_actor_with_marked_parameters(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    off = {"encryption": False}
    make_app(monkeypatch, **{setting: {"login": off} if setting == "queues" else off})
    with pytest.raises(SettingsError) as refusal:

        @actor
        def login(user: str, password: SecretStr, mail: Annotated[str, PII]) -> None: ...

    assert str(refusal.value) == (
        "queues.login.encryption is false, but login takes mail, password, marked Secret or PII: "
        "remove the setting or mark."
    )

    @actor(queue="login")
    def harmless(user: str) -> None: ...


def test_a_failure_of_an_old_payload_hides_it_in_the_record_too(app: App, jobs: FakeJobs) -> None:
    @actor
    def login(pin: Annotated[int, Secret]) -> None: ...

    job_id = put_unchecked(app, login.message("p4"))  # type: ignore[arg-type]
    jobs.run_all()
    assert error_of(jobs, job_id)["message"] == (
        "login cannot take these arguments: pin: is not valid (int parsing)."
    )
    job: Job | None = jobs.store.get(job_id)
    assert job is not None
    assert b"p4" not in (job.record or b"")


def taking(hint: Any) -> Contract:
    def function(given: Any) -> None: ...

    function.__annotations__["given"] = hint
    return Contract("function", function)


def refused(contract: Contract, **kwargs: Any) -> str:
    check: Callable[..., Any] = contract.check
    with pytest.raises(InvalidPayload) as refusal:
        check((), kwargs)
    return str(refusal.value)
