"""What each kind of type hint means for what an actor accepts, and how a refusal is worded."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator
from pydantic_core import to_jsonable_python

from jobs.errors import InvalidPayload
from middleware.contract import Contract


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Booking(BaseModel):
    first: date
    last: date

    @field_validator("last")
    @classmethod
    def _no_secret_dates(cls, value: date) -> date:
        raise ValueError(f"{value.isoformat()} is no day we know")


def refused(contract: Contract, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InvalidPayload) as refusal:
        contract.check(args, kwargs)
    return str(refusal.value)


ID = UUID("0190b8a5-3c1f-7000-8000-0123456789ab")


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, 7),
        (str, "Grüße"),
        (bool, True),
        (float, 1.5),
        (bytes, b"abc"),
        (datetime, datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        (date, date(2026, 3, 1)),
        (timedelta, timedelta(minutes=5)),
        (Decimal, Decimal("900.50")),
        (UUID, ID),
        (Colour, Colour.BLUE),
        (Literal["pdf", "csv"], "csv"),
        (int | None, None),
        (list[int], [1, 2]),
        (tuple[int, str], (1, "a")),
        (set[int], {1, 2}),
        (dict[str, Decimal], {"rent": Decimal("1.10")}),
        (Point, Point(1, 2)),
        (list[Point], [Point(1), Point(2)]),
        (Cat, Cat(kind="cat")),
        (Annotated[Cat | Dog, Field(discriminator="kind")], Dog(kind="dog", name="Rex")),
        (Annotated[int, Field(ge=1, le=10)], 10),
        (Any, {"free": ["form", 1, None]}),
    ],
    ids=str,
)
def test_an_argument_comes_back_from_json_as_its_hint_says(hint: Any, value: Any) -> None:
    contract = taking(hint)
    assert contract.check((), {"given": value}) == ((), {"given": value}), "at send"
    as_json = to_jsonable_python(value)
    _, received = contract.check((), {"given": as_json})
    assert received == {"given": value}, "at receive"
    assert type(received["given"]) is type(value)


@pytest.mark.parametrize(
    ("hint", "value", "reason"),
    [
        (int, "seven", "input should be a valid integer"),
        (int, 1.5, "input should be a valid integer"),
        (str, 7, "input should be a valid string"),
        (float, float("nan"), "input should be a finite number"),
        (float, float("inf"), "input should be a finite number"),
        (date, "tomorrow", "input should be a valid date"),
        (Colour, "green", "input should be 'red' or 'blue'"),
        (Literal["pdf", "csv"], "cs", "input should be 'pdf' or 'csv'"),
        (Annotated[int, Field(ge=1, le=10)], 11, "input should be less than or equal to 10"),
        (Annotated[str, Field(pattern="^a+$")], "b", "string should match pattern '^a+$'"),
        (Point, {"x": 1, "z": 2}, "unexpected keyword argument"),
        (Point, {"y": 1}, "field required"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(hint: Any, value: Any, reason: str) -> None:
    message = refused(taking(hint), given=value)
    assert message.startswith("function cannot take these arguments: given")
    assert reason in message


def test_the_place_of_a_fault_leads_into_lists_and_models() -> None:
    def function(pets: list[Cat], at: Point) -> None: ...

    message = refused(Contract("function", function), [{"kind": "cat"}, {"kind": "cat", "lives": "many"}], {})
    assert "pets.1.lives: input should be a valid integer" in message
    assert "at.x: field required" in message


def test_at_most_five_faults_are_told() -> None:
    def function(numbers: list[int]) -> None: ...

    message = refused(Contract("function", function), ["x"] * 50)
    assert message.count("numbers.") == 5


# How arguments are given


def test_arguments_may_be_given_by_place_or_by_name_and_are_passed_on_as_they_came() -> None:
    def function(a: int, b: int = 2, *, c: int, d: int = 4) -> None: ...

    contract = Contract("function", function)
    assert contract.check((1,), {"c": 3}) == ((1,), {"c": 3})
    assert contract.check((1, 5), {"c": 3, "d": 6}) == ((1, 5), {"c": 3, "d": 6})
    assert contract.check((), {"c": 3, "a": 1}) == ((), {"a": 1, "c": 3})
    assert "c: field required" in refused(contract, 1)
    assert refused(contract, 1, 2, 3, c=4) == "function takes 2 arguments by position; 3 were given."
    assert refused(contract, 1, a=1, c=3) == "function was given a twice."


def test_a_parameter_for_place_only_can_be_given_by_name_as_the_api_does() -> None:
    def function(a: int, b: int = 2, /, c: int = 3) -> tuple[int, int, int]:
        return a, b, c

    contract = Contract("function", function)

    def called(*args: Any, **kwargs: Any) -> tuple[int, int, int]:
        placed, named = contract.check(args, kwargs)
        return function(*placed, **named)

    assert called("1") == (1, 2, 3)
    assert called(a="1") == (1, 2, 3)
    assert called(a="1", b="7", c="8") == (1, 7, 8)
    assert called(1, b=7) == (1, 7, 3)
    assert "a: field required" in refused(contract, b=1)


def test_more_arguments_by_place_and_by_name_are_checked_by_their_hints_too() -> None:
    def function(first: str, *rest: int, **more: date) -> None: ...

    contract = Contract("function", function)
    assert contract.check(("a", "1", 2), {"day": "2026-03-01"}) == (("a", 1, 2), {"day": date(2026, 3, 1)})
    assert "day: input should be a valid date" in refused(contract, "a", day="soon")
    assert "1: input should be a valid integer" in refused(contract, "a", 1, "two")


def test_an_unhinted_parameter_takes_anything() -> None:
    def function(a, *rest, **more): ...  # type: ignore[no-untyped-def]

    contract = Contract("function", function)
    assert contract.check(([1], 2), {"x": {"y": 3}}) == (([1], 2), {"x": {"y": 3}})


def test_a_default_is_left_to_the_function() -> None:
    def function(a: int = 1, b: list[int] | None = None) -> None: ...

    assert Contract("function", function).check((), {}) == ((), {})


def test_names_that_pydantic_uses_itself_are_free_for_parameters() -> None:
    def function(
        json: int, schema: str, model_config: int, model_dump: int, copy: int, validate: int, self: int = 0
    ) -> None: ...

    contract = Contract("function", function)
    given = {"json": 1, "schema": "s", "model_config": 2, "model_dump": 3, "copy": 4, "validate": 5}
    assert contract.check((), given) == ((), given)
    assert contract.parameters() == [*given, "self"]


# The schema


def test_the_schema_names_types_and_which_arguments_are_required() -> None:
    def function(due: date, count: Annotated[int, Field(ge=1)] = 1, *, colour: Colour) -> None: ...

    schema = Contract("function", function).schema()
    assert schema["title"] == "function"
    assert schema["required"] == ["due", "colour"]
    assert schema["properties"]["due"] | {"title": ""} == {"type": "string", "format": "date", "title": ""}
    assert schema["properties"]["count"]["minimum"] == 1
    assert schema["additionalProperties"] is False


def test_a_schema_may_be_changed_by_who_asked_for_it() -> None:
    def function(a: int) -> None: ...

    contract = Contract("function", function)
    contract.schema()["properties"].clear()
    assert contract.parameters() == ["a"]


def test_a_hint_that_cannot_travel_as_json_is_refused_at_once() -> None:
    def function(callback: Callable[[], int]) -> None: ...

    with pytest.raises(TypeError, match="a type hint has no form in JSON"):
        Contract("function", function)


def test_a_hint_that_pydantic_does_not_know_is_refused_at_once() -> None:
    class Odd:
        pass

    def function(odd: Odd) -> None: ...

    with pytest.raises(TypeError):
        Contract("function", function)


# No value in a refusal

secrets = st.text(st.characters(categories=["L", "N"]), min_size=12, max_size=30).map(
    lambda text: "s3cr3t" + text
)


@settings(max_examples=12, deadline=None)
@given(secret=secrets)
@pytest.mark.parametrize(
    "hint",
    [
        int,
        float,
        Decimal,
        bool,
        date,
        datetime,
        timedelta,
        UUID,
        Colour,
        Literal["a", "b"],
        Point,
        Booking,
        list[int],
        dict[str, int],
        dict[int, int],
        dict[str, dict[str, Point]],
        int | date | Point,
        Cat | Dog,
        Annotated[Cat | Dog, Field(discriminator="kind")],
        Annotated[str, Field(max_length=5)],
        Annotated[str, Field(pattern="^x$")],
    ],
    ids=str,
)
def test_a_refusal_never_holds_the_value(hint: Any, secret: str) -> None:
    contract = taking(hint)
    for value in (
        secret,
        [secret],
        {secret: secret},
        {"kind": secret},
        {"kind": "dog", "name": [secret]},
        {"x": secret, secret: 1},
        {"a": {secret: {"x": secret}}},
    ):
        refusal = refusal_of(contract, value)
        if refusal is not None:
            assert secret not in str(refusal)
            assert "given" in str(refusal)
            assert refusal.__cause__ is None
            assert refusal.__suppress_context__


def test_a_validators_own_words_are_kept_unless_they_hold_the_value() -> None:
    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def _even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("must be even" if value < 1_000 else f"{value} is odd")
            return value

    def function(of: Even) -> None: ...

    contract = Contract("function", function)
    assert "of.number: value error, must be even" in refused(contract, {"number": 3})
    assert "of.number: is not valid (value error)" in refused(contract, {"number": 12_345})
    assert "2026" not in refused(taking(Booking), {"first": "2026-03-01", "last": "2026-03-02"})


def refusal_of(contract: Contract, value: Any) -> InvalidPayload | None:
    try:
        contract.check((), {"given": value})
    except InvalidPayload as error:
        return error
    return None


def taking(hint: Any) -> Contract:
    def function(given: Any) -> None: ...

    function.__annotations__["given"] = hint
    return Contract("function", function)
