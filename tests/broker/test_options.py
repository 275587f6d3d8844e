"""Where an option of a job comes from, and which values it may have."""

from typing import Any

import pytest

from broker.options import JobOptions
from jobs.errors import InvalidPayload
from jobs.rules import QueueRules

RULES = QueueRules(priority=7, attempts=4)


@pytest.mark.parametrize(
    ("call", "actor", "expected"),
    [
        ({}, {}, (7, 4)),
        ({}, {"priority": 2, "attempts": 9}, (2, 9)),
        ({"priority": 1, "attempts": 1}, {"priority": 2, "attempts": 9}, (1, 1)),
        ({"priority": None, "attempts": None}, {"priority": 2}, (2, 4)),  # None: not given
    ],
)
def test_the_call_comes_before_the_actor_and_the_actor_before_the_queue(
    call: dict[str, Any], actor: dict[str, Any], expected: tuple[int, int]
) -> None:
    options = JobOptions.of(call, actor, RULES)
    assert (options.priority, options.attempts) == expected


def test_tenant_and_time_are_taken_over() -> None:
    options = JobOptions.of({"tenant_id": "Ärzte & Söhne", "run_at": 1_800_000_000_000}, {}, RULES)
    assert (options.tenant_id, options.run_at) == ("Ärzte & Söhne", 1_800_000_000_000)
    assert JobOptions.of({}, {"tenant_id": "acme"}, RULES).tenant_id == "acme"
    assert JobOptions.of({}, {}, RULES).run_at is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priority", 1),
        ("priority", 10),
        ("attempts", 1_000),
        ("run_at", 0),
        ("tenant_id", ""),
        ("user_id", "ada"),
        ("time_limit", 1),
        ("remove_on_complete", True),
        ("remove_on_complete", False),
        ("remove_on_complete", 0),
        ("remove_on_complete", 500),
    ],
)
def test_what_makes_sense_is_taken(name: str, value: object) -> None:
    JobOptions.of({name: value}, {}, RULES)
    JobOptions.of({}, {name: value}, RULES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priority", 0),
        ("priority", 11),
        ("priority", "high"),
        ("priority", 1.0),
        ("priority", True),
        ("attempts", 0),
        ("attempts", 1_001),
        ("run_at", -1),
        ("run_at", "2026-03-01"),
        ("run_at", 10**13),
        ("tenant_id", 7),
        ("tenant_id", "x" * 101),
        ("tenant_id", "a\x1fb"),
        ("user_id", 7),
        ("user_id", "x" * 201),
        ("time_limit", 0),
        ("time_limit", "1min"),
        ("time_limit", True),
        ("remove_on_complete", -1),
        ("remove_on_complete", "yes"),
    ],
)
def test_what_makes_none_is_refused_by_name_and_without_the_value(name: str, value: object) -> None:
    with pytest.raises(InvalidPayload, match=f"^{name} must be ") as refused:
        JobOptions.of({name: value}, {}, RULES)
    if isinstance(value, str):
        assert value not in str(refused.value)
