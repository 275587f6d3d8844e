"""Runtime changes of rules, with who made them and when."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from database.adjustments import Adjustments
from database.errors import DatabaseOutdated
from jobs.model import Scope
from jobs.rules import Rate

QUEUE, LANE = Scope("email-sync"), Scope("email-sync", "acme")


@pytest.fixture
def adjustments(engine: Engine) -> Adjustments:
    return Adjustments(engine)


def values(adjustments: Adjustments, scope: Scope | None = None) -> dict[tuple[Scope, str], object]:
    return {(one.scope, one.name): one.value for one in adjustments.read(scope)}


def test_a_change_is_kept_with_who_made_it_and_when(adjustments: Adjustments) -> None:
    before = datetime.now(UTC)
    adjustments.write(QUEUE, {"cap": 3}, "cli:ada")
    (kept,) = adjustments.read(QUEUE)
    assert (kept.scope, kept.name, kept.value, kept.by) == (QUEUE, "cap", 3, "cli:ada")
    assert before <= kept.at <= datetime.now(UTC)


@pytest.mark.parametrize("value", [True, 7, 0, 2.5, Rate(10, 60_000)])
def test_a_value_comes_back_as_it_went_in(adjustments: Adjustments, value: object) -> None:
    adjustments.write(QUEUE, {"cap": value}, "api")
    (kept,) = adjustments.read()
    assert kept.value == value
    assert type(kept.value) is type(value)


def test_a_later_change_leaves_the_other_rules_as_they_were(adjustments: Adjustments) -> None:
    adjustments.write(QUEUE, {"cap": 3, "paused": True}, "cli:ada")
    adjustments.write(QUEUE, {"cap": 4}, "cli:bob")
    assert {one.name: (one.value, one.by) for one in adjustments.read(QUEUE)} == {
        "cap": (4, "cli:bob"),
        "paused": (True, "cli:ada"),
    }


def test_none_lets_a_rule_follow_the_settings_again(adjustments: Adjustments) -> None:
    adjustments.write(QUEUE, {"cap": 3, "paused": True}, "api")
    adjustments.write(QUEUE, {"paused": None, "rate": None}, "api")
    assert values(adjustments) == {(QUEUE, "cap"): 3}


def test_a_queue_a_lane_and_the_lane_without_a_tenant_are_three_scopes(adjustments: Adjustments) -> None:
    nobody = Scope("email-sync", "")
    for cap, scope in enumerate((QUEUE, LANE, nobody), start=1):
        adjustments.write(scope, {"cap": cap}, "api")
    assert values(adjustments) == {(QUEUE, "cap"): 1, (LANE, "cap"): 2, (nobody, "cap"): 3}
    assert values(adjustments, nobody) == {(nobody, "cap"): 3}


def test_a_forgotten_queue_takes_its_lanes_along(adjustments: Adjustments) -> None:
    other = Scope("email-send")
    for scope in (QUEUE, LANE, other):
        adjustments.write(scope, {"paused": True}, "api")
    adjustments.forget("email-sync")
    assert values(adjustments) == {(other, "paused"): True}


def test_without_the_table_it_says_to_migrate(empty_engine: Engine) -> None:
    with pytest.raises(DatabaseOutdated, match="migrate it"):
        Adjustments(empty_engine).read()
