"""Each job says of which release, version and signature it is."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import Field

from actors.declare import actor
from broker.testing import fake
from jobs.memory import MemoryStore
from jobs.states import JobState
from middleware.contract import Contract
from middleware.releases import Releases, Stamp, stamp_of
from settings import Settings, SettingsError, load_settings
from tests.fundamentals.stage import make_app
from tests.middleware.releases import Fleet, stamp
from tests.middleware.steps import job_of


def test_each_job_says_of_which_release_and_signature_it_is(fleet: Fleet) -> None:
    app = fleet(12)

    @actor(version=3)
    def mailbox_sync(account_id: str) -> None: ...

    with fake(app.broker) as jobs:
        fingerprint = app.contract("mailbox_sync").fingerprint
        assert stamp(jobs, mailbox_sync.send("a")) == Stamp(12, 3, fingerprint)
        assert mailbox_sync.send("a").options == {"stamp": f"12.3.{fingerprint}"}
        (many,) = app.broker.enqueue_many([mailbox_sync.message("a")])
        assert stamp(jobs, many) == Stamp(12, 3, fingerprint)


def test_a_caller_cannot_forge_it(fleet: Fleet) -> None:
    app = fleet(12)

    @actor
    def sync(account_id: str) -> None: ...

    with fake(app.broker) as jobs:
        assert stamp(jobs, sync.send_with_options(args=("a",), stamp="3.1.x")).release == 12
        assert stamp(jobs, sync.send_with_options(args=("a",), stamp=7)).release == 12


def test_a_message_that_is_sent_again_keeps_its_stamp_and_its_job(fleet: Fleet) -> None:
    app = fleet(12)

    @actor
    def sync(account_id: str) -> None: ...

    with fake(app.broker) as jobs:
        sent = sync.send("a")
        again = app.broker.enqueue(sent)
        assert (again.message_id, again.created) == (sent.message_id, False)
        assert len(jobs.queued()) == 1


@pytest.mark.parametrize(
    "text", ["", "7", "7.x.ab", "-1.1.ab", "²..", "9" * 5_000 + ".1.ab", None, 5, ["7", 1, "ab"]]
)
def test_what_is_no_stamp_counts_as_none(text: Any) -> None:
    assert stamp_of({"stamp": text}) is None


def test_the_release_is_a_setting_and_else_that_of_the_version() -> None:
    assert load_settings({"CALLBOARD_RELEASE": "2041"}).release == 2041
    assert Settings().release == 100  # of 0.1.0
    with pytest.raises(SettingsError, match="release"):
        load_settings({"CALLBOARD_RELEASE": "v2"})


def test_signatures_that_accept_the_same_have_one_fingerprint() -> None:
    def first(a: int, b: str = "") -> None:
        """One."""

    def same(a: int, b: str = "") -> int:
        """Two."""
        return 1

    def by_name(*, a: int, b: str = "") -> None: ...

    def other_order(b: str = "", a: int = 0) -> None: ...

    def other_type(a: str, b: str = "") -> None: ...

    def more(a: int, b: str = "", *rest: int) -> None: ...

    def more_texts(a: int, b: str = "", *rest: str) -> None: ...

    prints = [
        Contract("f", function).fingerprint
        for function in (first, same, by_name, other_order, other_type, more, more_texts)
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == len(prints) - 1
    assert all(len(one) == 8 for one in prints)


def test_words_change_no_fingerprint_and_a_parameter_named_title_counts() -> None:
    def titled(title: int) -> None: ...

    def titled_by_a_text(title: str) -> None: ...

    def described(description: int) -> None: ...

    def explained(title: Annotated[int, Field(description="a number")]) -> None: ...

    def print_of(function: Callable[..., Any]) -> str:
        return Contract("f", function).fingerprint

    assert print_of(titled) == print_of(explained)
    assert print_of(titled) != print_of(titled_by_a_text)
    assert print_of(titled) != print_of(described)


def test_left_out_no_job_is_stamped(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(monkeypatch, MemoryStore(), middleware={"without": ["releases"]})
    assert not any(isinstance(one, Releases) for one in app.broker.middleware)

    @actor
    def sync(account_id: str) -> None: ...

    with fake(app.broker) as jobs:
        message = sync.send("a1")
        assert message.options == {}
        jobs.run_all()
        assert job_of(jobs, message).state is JobState.COMPLETED
