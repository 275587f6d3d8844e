"""What is settled when a run has ended."""

import pytest

from broker.worker.verdicts import verdict_of
from jobs.model import Outcome
from jobs.rules import QueueRules
from tests.broker.hands import a_proxy

RULES = QueueRules(keep_completed=50)


@pytest.mark.parametrize(
    ("option", "removed"),
    [(None, False), (False, False), (1, False), (500, False), (True, True), (0, True)],
)
def test_a_completed_job_leaves_when_it_asked_to_and_the_others_stay(option: object, removed: bool) -> None:
    proxy = a_proxy("one")
    proxy.options["remove_on_complete"] = option
    verdict = verdict_of(proxy, RULES)
    assert (verdict.outcome, verdict.remove, verdict.keep) == (Outcome.COMPLETED, removed, 50)


def test_a_failed_job_never_removes_itself() -> None:
    proxy = a_proxy("one")
    proxy.options["remove_on_complete"] = True
    proxy.fail()
    assert verdict_of(proxy, RULES).remove is False


def test_without_any_middleware_a_failure_is_still_written_down_without_arguments() -> None:
    proxy = a_proxy("one")
    proxy.replace_arguments((), {"password": "hunter2"})
    proxy.stuff_exception(ValueError("the password hunter2 is wrong"))
    assert b"the password [argument] is wrong" in (verdict_of(proxy, RULES).record or b"")
