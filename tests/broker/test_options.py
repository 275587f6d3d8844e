"""Where an option of a job comes from, and which values it may have."""

from pathlib import Path
from typing import Any

import pytest

from broker.options import DRAMATIQ_NAMES, LONGEST_DELAY_MS, NAMES, JobOptions, check_delay, check_names
from broker.uniqueness import Uniqueness
from jobs.errors import InvalidPayload
from jobs.model import UniqueMode
from jobs.rules import QueueRules

RULES = QueueRules(priority=7, attempts=4)


def options_of(call: dict[str, Any], actor: dict[str, Any]) -> JobOptions:
    return JobOptions.declared(actor, RULES).with_call(call)


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
    options = options_of(call, actor)
    assert (options.priority, options.attempts) == expected


def test_tenant_and_time_are_taken_over() -> None:
    options = options_of({"tenant_id": "Ärzte & Söhne", "run_at": 1_800_000_000_000}, {})
    assert (options.tenant_id, options.run_at) == ("Ärzte & Söhne", 1_800_000_000_000)
    assert options_of({}, {"tenant_id": "acme"}).tenant_id == "acme"
    assert options_of({"tenant_id": ""}, {"tenant_id": "acme"}).tenant_id == "", "none for this job"
    assert options_of({}, {}).run_at is None


def test_a_gate_and_an_id_come_from_the_call_or_the_actor() -> None:
    assert options_of({"gate": "gmail:7"}, {}).gate == "gmail:7"
    assert options_of({}, {"gate": "printer"}).gate == "printer"
    assert options_of({"gate": ""}, {"gate": "printer"}).gate == ""
    assert options_of({"job_id": "invoice-7"}, {}).job_id == "invoice-7"
    assert options_of({}, {}).job_id is None


def test_a_calls_unique_takes_the_whole_place_of_the_actors() -> None:
    declared = {"unique": {"by": ["account_id"], "mode": "debounce"}}
    assert options_of({}, declared).unique == Uniqueness(by=("account_id",), mode=UniqueMode.DEBOUNCE)
    assert options_of({"unique": {"key": "x"}}, declared).unique == Uniqueness("x")
    assert options_of({"unique": False}, declared).unique is None
    assert options_of({"unique": None}, declared).unique is not None, "None: not given"


def test_a_gate_beside_the_mode_that_makes_its_own_is_refused() -> None:
    latest = {"key": "x", "mode": "latest"}
    for call, actor in (({"unique": latest, "gate": "g"}, {}), ({"unique": latest}, {"gate": "g"})):
        with pytest.raises(InvalidPayload, match="gate cannot be given with the unique mode latest"):
            options_of(call, actor)
    assert options_of({"unique": latest, "gate": ""}, {"gate": "g"}).gate == ""


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
        ("job_id", "a-1"),
        ("gate", "x" * 100),
        ("unique", True),
        ("unique", {"key": "k", "mode": "throttle", "ttl": 1}),
    ],
)
def test_what_makes_sense_is_taken(name: str, value: object) -> None:
    options_of({name: value}, {})
    options_of({}, {name: value})


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
        ("gate", "x" * 101),
        ("gate", "a\x1fb"),
        ("gate", 7),
        ("job_id", "acme~7"),
        ("job_id", ""),
        ("unique", 1),
        ("unique", {"keys": "k"}),
    ],
)
def test_what_makes_none_is_refused_by_name_and_without_the_value(name: str, value: object) -> None:
    with pytest.raises(InvalidPayload, match=f"^{name} must be ") as refused:
        options_of({name: value}, {})
    if isinstance(value, str) and value:
        assert value not in str(refused.value)


KNOWN = NAMES | DRAMATIQ_NAMES


def test_options_of_ours_and_of_dramatiqs_parts_are_known() -> None:
    check_names(dict.fromkeys(KNOWN), KNOWN)
    check_names({}, KNOWN)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("priorty", "there is no option 'priorty'; did you mean 'priority'?"),
        ("tenant", "there is no option 'tenant'; did you mean 'tenant_id'?"),
        ("eta", "eta is not used here; give delay or run_at."),
        ("max_retries", "max_retries is not used here; give attempts."),
        ("xyz", "there is no option 'xyz'; there are attempts, backoff, deadline, expires, gate, "),
    ],
)
def test_an_option_that_nothing_reads_is_refused_with_what_to_give_instead(name: str, words: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        check_names({"priority": 1, name: "hunter2"}, KNOWN)
    assert str(refused.value).startswith(words)
    assert "hunter2" not in str(refused.value)


def test_the_page_for_authors_names_every_option_and_every_mode() -> None:
    page = (Path(__file__).parents[2] / "docs" / "writing-an-actor.md").read_text()
    assert [name for name in sorted(NAMES) if f"`{name}=" not in page] == []
    assert [mode for mode in UniqueMode if f"| `{mode}`" not in page] == []


def test_middleware_of_ones_own_may_bring_options() -> None:
    check_names({"max_retries": 3}, KNOWN | {"max_retries"})


def test_a_delay_is_whole_milliseconds_and_its_due_time_fits_into_13_digits() -> None:
    assert [check_delay(delay) for delay in (None, 0, 1, LONGEST_DELAY_MS)] == [0, 0, 1, LONGEST_DELAY_MS]
    in_2060 = 2_840_140_800_000
    assert in_2060 + LONGEST_DELAY_MS < 9_999_999_999_999


@pytest.mark.parametrize("delay", [-1, 1.5, True, "60", LONGEST_DELAY_MS + 1])
def test_any_other_delay_is_refused(delay: Any) -> None:
    with pytest.raises(InvalidPayload, match=r"^delay must be a whole number from 0 to 7000000000000"):
        check_delay(delay)
