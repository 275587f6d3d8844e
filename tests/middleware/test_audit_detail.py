"""What an attempt leaves for its audit row: what went wrong and where, and no value of the job."""

import importlib.util
from pathlib import Path

import pytest
from dramatiq.middleware import TimeLimitExceeded

from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import PermanentError
from jobs.events import AttemptDetail
from jobs.failures import describe
from tests.middleware.steps import details, events

SECRET = "ada.lovelace@example.org"


def failing_in(path: str) -> str:
    """The fingerprint of a failure in code without a module."""
    return failing_at_line(1, path=path)


def failing_at_line(
    line: int, text: str = "boom", name: str = "charge", path: str = "shop/charges.py"
) -> str:
    """The fingerprint of a failure whose code begins at this line of its file."""
    source = "\n" * line + f"def {name}():\n    raise ValueError({text!r})\n"
    scope: dict[str, object] = {}
    exec(compile(source, path, "exec"), scope)
    function = scope[name]
    try:
        function()  # type: ignore[operator]
    except ValueError as error:
        return describe(error).fingerprint
    raise AssertionError


def test_a_success_leaves_nothing_but_who_asked(jobs: FakeJobs) -> None:
    @actor
    def fine() -> None: ...

    fine.send()
    fine.send_with_options(user_id="ada")
    jobs.run_all()
    plain, of_ada = events(jobs)
    assert plain.detail == b""
    assert of_ada.detail == b'{"user_id":"ada"}'


def test_a_failure_leaves_type_redacted_message_and_a_stack_without_values(jobs: FakeJobs) -> None:
    @actor(attempts=1)
    def charge(card: str, owner: str) -> None:
        raise ValueError(f"card {card} of {owner} was declined")

    charge.send_with_options(args=("4111111111111111", SECRET), user_id="ada", tenant_id="acme")
    jobs.run_all()
    (event,) = events(jobs)
    detail = AttemptDetail.from_bytes(event.detail)

    assert event.lane == "acme"
    assert (detail.user_id, detail.error_type, detail.error_code) == ("ada", "ValueError", "exhausted")
    assert detail.error_message == detail.reason == "card [argument] of [argument] was declined"
    last = detail.stack.splitlines()[-1]
    assert last.startswith(__file__ + ":")
    assert last.endswith(" in charge")
    assert SECRET.encode() not in event.detail
    assert b"4111" not in event.detail


def test_the_words_of_an_actors_own_permanent_error_are_redacted_too(jobs: FakeJobs) -> None:
    @actor
    def charge(owner: str) -> None:
        raise PermanentError(f"{owner} has no card")

    charge.send(SECRET)
    jobs.run_all()
    (detail,) = details(jobs)
    assert detail.reason == "[argument] has no card"


def test_what_took_too_long_is_called_a_timeout(jobs: FakeJobs) -> None:
    @actor(attempts=2, backoff={"delay": 0})
    def slow() -> None:
        raise TimeLimitExceeded  # what Dramatiq raises in the thread

    slow.send()
    jobs.run_all()
    assert [detail.error_code for detail in details(jobs)] == ["timeout", "timeout"]


def test_only_the_attempt_that_was_the_last_has_a_reason(jobs: FakeJobs) -> None:
    @actor(attempts=2, backoff={"delay": 0})
    def failing() -> None:
        raise ConnectionError("no route")

    failing.send()
    jobs.run_all()
    first, last = details(jobs)
    assert (first.error_code, first.reason) == ("retryable", "")
    assert (last.error_code, last.reason) == ("exhausted", "no route")
    assert first.fingerprint == last.fingerprint


def test_a_fingerprint_stays_when_the_code_moves_or_only_values_differ() -> None:
    assert failing_at_line(1) == failing_at_line(99)
    assert failing_at_line(1, "order 17") == failing_at_line(1, "order 18")


def test_a_fingerprint_stays_when_a_release_lies_in_another_folder(tmp_path: Path) -> None:
    """A canary could not tell otherwise that the failure of the release before has come back."""
    found = set()
    for release in ("3f9ab2e", "c0ffee"):
        file = tmp_path / "releases" / release / "shop_charges.py"
        file.parent.mkdir(parents=True)
        file.write_text("class Bank:\n    def charge(self):\n        raise ValueError('no')\n")
        spec = importlib.util.spec_from_file_location("shop_charges", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        with pytest.raises(ValueError, match="no") as caught:
            module.Bank().charge()
        failure = describe(caught.value)
        assert str(file) in failure.stack[-1], "where it was is still told"
        found.add(failure.fingerprint)
    assert len(found) == 1
    assert failing_in("/srv/a/shop.py") == failing_in("/srv/b/shop.py") != failing_in("/srv/b/other.py")


def test_another_cause_has_another_fingerprint() -> None:
    assert failing_at_line(1, name="charge") != failing_at_line(1, name="refund")


def test_failures_of_another_type_are_another_group() -> None:
    prints = {describe(error).fingerprint for error in (ValueError("x"), TypeError("x"), KeyError("x"))}
    assert len(prints) == 3
