"""3. The type hints of an actor are its contract. What does not fit them is refused where it is sent."""

from datetime import date
from decimal import Decimal

import pytest
from pydantic import BaseModel

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import InvalidPayload, PayloadTooLarge, UnknownActor


class Line(BaseModel):
    text: str
    amount: Decimal


def test_the_actor_gets_what_its_hints_say_although_it_travelled_as_json(jobs: FakeJobs) -> None:
    got = []

    @actor
    def invoice(due: date, lines: list[Line], discount: Decimal = Decimal(0)) -> None:
        got.append((due, lines, discount))

    invoice.send(date(2026, 3, 1), lines=[Line(text="Rent", amount=Decimal("900.50"))])
    invoice.send("2026-03-01", lines=[{"text": "Rent", "amount": "900.50"}])  # as the HTTP API gives it
    jobs.run_all()

    expected = (date(2026, 3, 1), [Line(text="Rent", amount=Decimal("900.50"))], Decimal(0))
    assert got == [expected, expected]


def test_an_argument_that_does_not_fit_is_refused_with_its_place_and_without_its_value(
    jobs: FakeJobs,
) -> None:
    @actor
    def invoice(due: date, lines: list[Line]) -> None: ...

    with pytest.raises(InvalidPayload) as refused:
        invoice.send("2026-03-01", lines=[{"text": "Rent", "amount": "a secret"}])

    assert str(refused.value) == (
        "invoice cannot take these arguments: lines.0.amount: input should be a valid decimal."
    )
    assert jobs.queued() == []


def test_what_is_missing_or_unknown_is_named(jobs: FakeJobs) -> None:
    @actor
    def invoice(number: int) -> None: ...

    with pytest.raises(
        InvalidPayload, match=r"number: field required; numbr: extra inputs are not permitted"
    ):
        invoice.send(numbr=7)  # type: ignore[call-arg]


def test_arguments_are_for_ids_not_for_data(app: App, jobs: FakeJobs) -> None:
    @actor
    def archive(text: str) -> None: ...

    with pytest.raises(PayloadTooLarge, match=r"archive take .* store the data and send its id"):
        archive.send("x" * 200_000)
    assert jobs.queued() == []


def test_a_job_for_an_actor_that_is_not_there_is_refused(app: App, jobs: FakeJobs) -> None:
    @actor
    def email_sync(account_id: str) -> None: ...

    message = email_sync.message("a1").copy(actor_name="email_snyc")
    with pytest.raises(UnknownActor, match="There is no actor named 'email_snyc'"):
        app.broker.enqueue(message)


def test_the_json_schema_of_the_http_api_comes_from_the_same_hints(app: App) -> None:
    @actor
    def invoice(number: int, text: str = "") -> None: ...

    schema = app.schema("invoice")
    assert schema["required"] == ["number"]
    assert {name: part["type"] for name, part in schema["properties"].items()} == {
        "number": "integer",
        "text": "string",
    }
