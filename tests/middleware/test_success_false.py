"""A result that says `success: false` is a permanent failure, in whatever form the actor returns it."""

from collections import ChainMap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from actors.declare import actor
from broker.testing import FakeJobs
from jobs.states import JobState
from tests.middleware.steps import error_of, job_of


class Model(BaseModel):
    success: Any
    error: str = ""


@dataclass
class Data:
    success: Any
    error: str = ""


class Pair(NamedTuple):
    success: Any
    error: str = ""


def mapping(success: Any, error: str = "") -> ChainMap[str, Any]:
    return ChainMap({"success": success, "error": error})


FORMS = [Model, Data, Pair, mapping, dict]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("error", "reason"), [("card declined", "card declined"), ("", "the actor returned success: false")]
)
def test_it_is_never_counted_as_completed(
    jobs: FakeJobs, form: Callable[..., Any], error: str, reason: str
) -> None:
    @actor
    def charge() -> Any:
        return form(success=False, error=error)

    message = charge.send()
    assert jobs.run_all() == 1
    assert job_of(jobs, message).state is JobState.FAILED
    assert error_of(jobs, message)["message"] == reason
    assert jobs.store.stats(["charge"])[0].completed_total == 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("success", [True, None, 0, ""])
def test_it_must_be_false_itself(jobs: FakeJobs, form: Callable[..., Any], success: Any) -> None:
    @actor
    def charge() -> Any:
        return form(success=success)

    message = charge.send()
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED
