"""`unique` counts what the actor takes, so that a job of the API and one of Python exclude each other."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from actors.composition import App
from actors.declare import actor
from broker.canonical import canonical
from broker.testing import FakeJobs
from broker.uniqueness import Uniqueness, digest
from control.service import JobService, NewJobRequest
from jobs.errors import InvalidPayload


class Point(BaseModel):
    x: int
    tags: set[str] = set()
    at: datetime | None = None


@dataclass
class Card:
    number: SecretStr


ONE = timezone(timedelta(hours=1))
ORIGIN = Point(x=1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hint", "ways"),
    [
        (int, [5, "5", 5.0]),
        (float, [1, 1.0, "1"]),
        (Point, [Point(x=1), {"x": 1}, {"x": "1", "tags": []}]),
        (Point, [Point(x=1, at=NOON), {"x": 1, "at": "2026-01-01T13:00:00+01:00"}]),
        (datetime, [NOON, "2026-01-01T12:00:00Z", NOON.astimezone(ONE), "2026-01-01T13:00:00+01:00"]),
        (dict[int, str], [{"1": "a"}, {"01": "a"}]),
        (set[str], [["b", "a"], {"a", "b"}]),
    ],
)
def test_a_value_is_the_same_however_it_is_written(jobs: FakeJobs, hint: Any, ways: list[Any]) -> None:
    def take(value: Any) -> None: ...

    take.__annotations__["value"] = hint
    told = actor(unique=True)(take)
    assert [told.send(way).created for way in ways] == [True] + [False] * (len(ways) - 1)


def test_other_values_are_others(jobs: FakeJobs) -> None:
    @actor(unique=True)
    def take(at: datetime, point: Point) -> None: ...

    for at in (NOON, NOON.replace(tzinfo=ONE), NOON.replace(tzinfo=None)):
        for point in (Point(x=1), Point(x=2), Point(x=1, tags={"a"})):
            assert take.send(at, point).created


def test_a_default_is_the_value_that_could_be_given(jobs: FakeJobs) -> None:
    @actor(unique=True)
    def take(name: str, rate: float = 1, note: str = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    @actor(unique=True)
    def plain(name: str, rate: float = 1, *, point: Point = ORIGIN) -> None: ...

    assert [take.send("a").created, take.send("a", 1).created, take.send("a", "1.0").created] == [  # type: ignore[arg-type]
        True,
        False,
        False,
    ]
    ways = [plain.send("a"), plain.send("a", 1.0), plain.send(name="a", rate=1, point={"x": "1"})]  # type: ignore[arg-type]
    assert [sent.created for sent in ways] == [True, False, False]


def test_a_job_of_the_api_and_one_of_python_are_one(app: App, jobs: FakeJobs) -> None:
    @actor(queue="report-generate", unique={"by": ["since"]})
    def report(since: datetime, rows: int = 10) -> None: ...

    sent = report.send(NOON)
    request = NewJobRequest(queue="report-generate", name="report", data={"since": "2026-01-01T12:00:00Z"})
    added = JobService(app).add(request)
    assert (added.created, added.job.id) == (False, sent.message_id)


def test_private_values_count_with_what_is_in_them() -> None:
    one, other = Card(SecretStr("4111")), Card(SecretStr("4222"))
    assert canonical({"card": one}) == {"card": {"number": "4111"}}
    assert digest({"card": one}) != digest({"card": other})


def test_moments_at_the_edge_of_time_and_values_that_lie_too_deep_are_no_crash() -> None:
    first = datetime.min.replace(tzinfo=ONE)
    assert canonical(first) == first.isoformat()
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidPayload, match="no JSON form"):
        Uniqueness().of("deep", lambda: {"x": deep})
