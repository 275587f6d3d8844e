"""Jobs that were sent by an older release: their arguments are lifted, or refused with what to do."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import pytest
from dramatiq import pipeline
from dramatiq.middleware import CurrentMessage

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, fake
from jobs.errors import InvalidPayload
from jobs.marks import Secret
from jobs.states import JobState
from tests.middleware.releases import Fleet, hand_over, sent_by_release_1, stamp
from tests.middleware.steps import error_of, events, job_of


def of_version_1(account: str, days: int = 7) -> dict[str, Any]:
    return {"account_id": account, "since": date(2026, 1, days)}


def of_version_2(account_id: str, since: date) -> dict[str, Any]:
    return {"account_id": account_id, "since": since, "folders": ["INBOX"]}


@pytest.mark.parametrize(
    ("args", "kwargs"), [(("a1",), {}), (("a1", 7), {}), ((), {"account": "a1"}), (("a1",), {"days": 7})]
)
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_old_arguments_are_lifted_version_by_version(
    fleet: Fleet, args: tuple[Any, ...], kwargs: dict[str, Any], kind: str
) -> None:
    sent, message = sent_by_release_1(fleet, *args, **kwargs)
    new = fleet(2)
    got = []

    def mailbox_sync(account_id: str, since: date, folders: list[str]) -> None:
        got.append((account_id, since, folders))

    async def mailbox_sync_async(account_id: str, since: date, folders: list[str]) -> None:
        mailbox_sync(account_id, since, folders)

    function: Any = mailbox_sync if kind == "plain" else mailbox_sync_async
    options: Any = {"version": 3, "upcasts": {1: of_version_1, 2: of_version_2}}
    actor(queue="mailbox-sync", actor_name="mailbox_sync", **options)(function)
    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    assert got == [("a1", date(2026, 1, 7), ["INBOX"])]
    assert job_of(jobs, message).state is JobState.COMPLETED


def test_a_job_from_before_there_were_stamps_counts_as_version_1(fleet: Fleet) -> None:
    app = fleet(1)
    got = []

    @actor(version=2, upcasts={1: lambda account: {"account_id": account}})
    def sync(account_id: str) -> None:
        got.append(account_id)

    with fake(app.broker) as jobs:
        sent = sync.send("a1")
        payload = job_of(jobs, sent).payload
        bare = payload.replace(b'{"stamp":"' + sent.options["stamp"].encode() + b'"}', b"{}")
        assert bare != payload
        other = replace_payload(jobs, sync, bare)
        jobs.run_all()
        assert job_of(jobs, other).state is JobState.COMPLETED
    assert got == ["a1", "a1"]


def replace_payload(jobs: FakeJobs, of: Any, payload: bytes) -> str:
    from jobs.model import NewJob

    jobs._broker.accept([NewJob("other", of.queue_name, of.actor_name, payload)])
    return "other"


def test_the_lifted_arguments_are_checked_like_any_others(fleet: Fleet) -> None:
    sent, message = sent_by_release_1(fleet, "a1")
    new = fleet(2)

    @actor(version=2, upcasts={1: lambda account, days=7: {"account_id": account, "since": "soon"}})
    def mailbox_sync(account_id: str, since: date) -> None: ...

    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    assert "since: input should be a valid date" in error_of(jobs, message)["message"]


def broken(account: Annotated[str, Secret], days: int = 7) -> dict[str, Any]:
    raise KeyError(f"no account {account}")


@pytest.mark.parametrize(
    ("upcast", "reason"),
    [
        (broken, "mailbox_sync cannot lift arguments of version 1 to 2: KeyError in broken, "),
        (lambda account, days=7: [account], "has an upcast of version 1 that does not return arguments by"),
        (lambda account, days=7: {1: account}, "has an upcast of version 1 that does not return arguments"),
        (lambda other: {"account_id": other}, "mailbox_sync of version 1 cannot take these arguments: other"),
    ],
)
def test_an_upcast_that_fails_ends_the_job_at_once_and_quotes_no_value(
    fleet: Fleet, upcast: Any, reason: str
) -> None:
    sent, message = sent_by_release_1(fleet, account="hunter2")
    new = fleet(2)

    @actor(version=2, upcasts={1: upcast})
    def mailbox_sync(account_id: str) -> None: ...

    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    job = job_of(jobs, message)
    assert (job.state, job.attempts, job.dead_letter) == (JobState.FAILED, 1, "dead-letter")
    assert reason in error_of(jobs, message)["message"]
    assert b"hunter2" not in (job.record or b"") + b"".join(event.detail for event in events(jobs))


def test_a_version_that_is_lifted_no_more_says_so(fleet: Fleet) -> None:
    sent, message = sent_by_release_1(fleet, "a1")
    new = fleet(2)

    @actor(version=3, upcasts={2: of_version_2})
    def mailbox_sync(account_id: str, since: date, folders: list[str]) -> None: ...

    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    assert error_of(jobs, message)["message"] == (
        "mailbox_sync no longer takes arguments of version 1: it has no upcast for them."
    )


def test_without_versions_the_refusal_says_that_the_signature_was_another(fleet: Fleet) -> None:
    sent, message = sent_by_release_1(fleet, account="a1")
    new = fleet(2)

    @actor
    def mailbox_sync(account_id: str) -> None: ...

    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    assert error_of(jobs, message)["message"].endswith(
        "It was sent by another version of the signature, of release 1: register a function in `upcasts` "
        "that makes the new arguments of the old ones."
    )


def test_a_payload_of_another_signature_that_fits_all_the_same_just_runs(fleet: Fleet) -> None:
    sent, message = sent_by_release_1(fleet, "a1")
    new = fleet(2)

    @actor
    def mailbox_sync(account: str, days: float = 7, more: str = "") -> None: ...

    with fake(new.broker):
        jobs = hand_over(sent, new)
        jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED


def test_an_old_message_that_is_sent_again_is_lifted_then(fleet: Fleet) -> None:
    sent, message = sent_by_release_1(fleet, "a1")
    new = fleet(2)

    @actor(version=2, upcasts={1: of_version_1})
    def mailbox_sync(account_id: str, since: date) -> None: ...

    old = new.broker.decode(job_of(sent, message)).copy(message_id="again")
    with fake(new.broker) as jobs:
        again = new.broker.enqueue(old)
        assert stamp(jobs, again)[:2] == (2, 2)
        assert job_of(jobs, again).payload.startswith(b'[[],{"account_id":"a1","since":"2026-01-07"}')


def test_the_later_jobs_of_a_pipeline_are_of_the_version_that_made_it(fleet: Fleet) -> None:
    old = fleet(1)

    @actor(queue="first")
    def first() -> int:
        return 5

    @actor(queue="second")
    def second(account: str, number: int) -> None: ...

    with fake(old.broker) as sent:
        pipeline([first.message(), second.message("a1")], broker=old.broker).run()
    new = fleet(2)
    got = []
    actor(queue="first")(first.fn)

    def lift(account: str, number: int) -> dict[str, Any]:
        return {"number": number, "account_id": account}

    @actor(queue="second", actor_name="second", version=2, upcasts={1: lift})  # type: ignore[arg-type]
    def second_of_today(*, account_id: str, number: int) -> None:
        got.append((account_id, number))

    with fake(new.broker) as jobs:
        jobs.store = sent.store
        new.broker.store = sent.store
        jobs.run_all()
    assert got == [("a1", 5)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"version": 0}, "version of sync must be a whole number from 1"),
        ({"version": "2"}, "version of sync must be a whole number from 1"),
        ({"version": True}, "version of sync must be a whole number from 1"),
        ({"version": 2, "upcasts": [of_version_1]}, "upcasts of sync must be functions by version"),
        ({"version": 2, "upcasts": {"1": of_version_1}}, "upcasts of sync must be functions by version"),
        ({"version": 2, "upcasts": {1: "of_version_1"}}, "must be plain functions; that of 1 is none"),
        ({"upcasts": {1: of_version_1}}, "from 1 to 0, because its version is 1"),
        ({"version": 4, "upcasts": {1: of_version_1, 3: of_version_2}}, "each version from 1 to 3"),
        ({"version": 2, "upcasts": {2: of_version_2}}, "each version from 2 to 1"),
    ],
)
def test_versions_that_make_no_sense_are_refused_where_they_are_declared(
    app: App, options: Any, reason: str
) -> None:
    with pytest.raises(InvalidPayload, match=reason):

        @actor(**options)
        def sync(account_id: str) -> None: ...


def test_an_upcast_whose_hints_cannot_be_checked_is_refused_too(app: App) -> None:
    def old(callback: Callable[[], int]) -> dict[str, Any]:
        return {}

    with pytest.raises(TypeError, match="The upcast 1 of actor sync cannot be checked: a type hint has no"):

        @actor(version=2, upcasts={1: old})
        def sync() -> None: ...


@pytest.mark.parametrize("option", ["version", "upcasts"])
def test_a_call_has_no_version(app: App, jobs: FakeJobs, option: str) -> None:
    @actor
    def sync() -> None: ...

    with pytest.raises(InvalidPayload, match=f"{option} is said of an actor"):
        sync.send_with_options(**{option: 2})


def test_an_actor_that_sends_its_lifted_message_on_is_not_lifted_twice(fleet: Fleet) -> None:
    old = fleet(1)

    @actor(queue="pay", actor_name="pay")
    def in_euros(amount: int) -> None: ...

    with fake(old.broker) as sent:
        in_euros.send(7)
    new = fleet(2)
    seen: list[int] = []

    @actor(queue="pay", actor_name="pay", version=2, upcasts={1: lambda amount: {"amount": amount * 100}})
    def in_cents(amount: int) -> None:
        seen.append(amount)
        mine = CurrentMessage.get_current_message()
        if len(seen) == 1 and mine is not None:
            new.broker.enqueue(mine.copy(message_id="again"))

    with fake(new.broker):
        jobs = hand_over(sent, new)
        new.broker.store = sent.store
        jobs.run_all()
        jobs.run_all()
    assert seen == [700, 700]
