"""Names that are stored in clear (of jobs, gates, resources, arguments) tell nothing of what is hidden."""

from typing import Annotated, Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import InvalidPayload
from jobs.marks import PII
from jobs.model import Job
from jobs.states import JobState
from middleware.contract import Contract
from middleware.limits import limit
from tests.clear_text import keys_with
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually

MAIL = "ada@example.org"
CARD = "hunter2-4111111111111111"


@pytest.fixture
def policies() -> dict[str, Any]:
    window = {"algorithm": "fixed_window", "limit": 100, "per": "1d"}
    return {"limits": {"gmail": {"by": "resource", **window}}, "queues": {"closed": {"encryption": True}}}


@pytest.mark.parametrize("option", ["job_id", "gate"])
@pytest.mark.parametrize(("value", "name"), [(MAIL, f"gmail:{MAIL}"), ("7", "pin:7"), (MAIL, MAIL)])
def test_a_marked_value_in_the_name_of_a_job_or_gate_is_refused(
    jobs: FakeJobs, option: str, value: str, name: str
) -> None:
    @actor(queue="sync")
    def sync(mail: Annotated[str, PII], account: str = "") -> None: ...

    named: dict[str, Any] = {option: name}
    by_place: dict[str, Any] = {"args": (value,)}
    for given in (by_place, {"kwargs": {"mail": value}}):
        with pytest.raises(InvalidPayload) as refused:
            sync.send_with_options(**given, **named)
        assert str(refused.value) == (
            f"sync: its {option} would show mail, which is marked Secret or PII: name it by an id."
        )
    named[option] = "gmail:acct-9"
    sync.send_with_options(args=(value, "acct-9"), **named)
    assert len(jobs.queued()) == 1


def stored(app: App, message: Any) -> Job:
    job = app.store.get(message.message_id)
    assert job is not None
    return job


def test_limit_refuses_every_argument_of_an_encrypted_job_of_an_actor_without_marks(
    real_app: App, running_worker: StartWorker
) -> None:
    @actor(queue="closed", attempts=1)
    def sync(mail: str) -> None:
        limit(f"gmail:{mail}")

    @actor(queue="closed", attempts=1)
    def named(mail: str) -> None:
        limit("gmail:acct-7")

    @actor(queue="closed", attempts=1)
    def marked(token: Annotated[str, PII], account: str) -> None:
        limit(f"gmail:{account}")

    @actor(queue="open", attempts=1)
    def clear(account: str) -> None:
        limit(f"gmail:{account}")

    refused = sync.send(MAIL)
    fine = [
        named.send(MAIL),
        marked.send(MAIL, "acct-8"),
        clear.send("acct-9"),
        sync.send_with_options(args=("acct-10",), gate="gmail:acct-10"),  # in clear by the sender's wish
    ]
    running_worker()
    eventually(lambda: all(stored(real_app, one).state.settled for one in [refused, *fine]))
    assert [stored(real_app, one).state for one in fine] == [JobState.COMPLETED] * 4
    record = (stored(real_app, refused).record or b"").decode()
    assert "limit() was given a name with the value of mail" in record
    assert keys_with(real_app, MAIL) == []


def refusal(contract: Contract, **kwargs: Any) -> str:
    with pytest.raises(InvalidPayload) as refused:
        contract.check((), kwargs)
    assert refused.value.__context__ is None
    return str(refused.value)


def test_names_of_arguments_that_nobody_expects_are_counted_where_something_is_marked() -> None:
    def charge(card: Annotated[str, PII], cents: int) -> None: ...

    contract = Contract("charge", charge)
    assert refusal(contract, card="x", cents=1, **{CARD: 1, "4111111111111111": 2}) == (
        "charge cannot take these arguments: 2 given by name that it does not have (it takes card, cents)."
    )
    assert refusal(contract, card="x", **{CARD: 1}) == (
        "charge cannot take these arguments: cents: field required; "
        "1 given by name that it does not have (it takes card, cents)."
    )


def test_elsewhere_they_are_named_but_not_at_any_length() -> None:
    def charge(cents: int) -> None: ...

    contract = Contract("charge", charge)
    assert "; sent: extra inputs are not permitted" in refusal(contract, sent=1)
    words = refusal(contract, cents=1, **{"x" * 10_000: 1})
    assert words == f"charge cannot take these arguments: {'x' * 64}: extra inputs are not permitted."


def test_of_the_rest_only_what_could_be_a_name_is_told() -> None:
    def charge(**cards: Annotated[int, PII]) -> None: ...

    assert refusal(Contract("charge", charge), **{CARD: "x"}) == (
        "charge cannot take these arguments: an argument: is not valid (int parsing)."
    )
