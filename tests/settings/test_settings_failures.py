"""Settings about jobs that fail: lists of errors, rules of dead letters, and when a job counts as stuck."""

from pathlib import Path

import pytest

from settings import SettingsError, describe, load_settings

RULES = """
[[dead_letters.rules]]
to = "billing-dead"
actor = ["charge", "refund_*"]
tenant = [""]
attempts = 3

[[dead_letters.rules]]
to = "late"
code = "expired, deadline"
"""


def test_rules_keep_their_order_and_one_word_is_a_list_of_one(tmp_path: Path) -> None:
    (tmp_path / "callboard.toml").write_text(RULES)
    first, second = load_settings({}, tmp_path).dead_letters.rules
    assert (first.to, first.actor, first.tenant, first.attempts) == (
        "billing-dead",
        ("charge", "refund_*"),
        ("",),
        3,
    )
    assert (second.to, second.code, second.actor) == ("late", ("expired", "deadline"), ())


def test_they_are_shown_in_words(tmp_path: Path) -> None:
    (tmp_path / "callboard.toml").write_text(RULES)
    (line,) = describe(load_settings({}, tmp_path), "dead_letters")
    assert line.value == (
        "actor charge or refund_* and tenant  and attempts 3 to billing-dead, "
        "code expired or deadline to late"
    )
    assert line.source == "callboard.toml"


def test_the_environment_has_them_as_json(tmp_path: Path) -> None:
    settings = load_settings(
        {"CALLBOARD_DEAD_LETTERS__RULES": '[{"to": "x", "error": "KeyError"}]'}, tmp_path
    )
    assert settings.dead_letters.rules[0].error == ("KeyError",)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DEAD_LETTERS__RULES", "[", "must be a list of rules, or JSON text"),
        ("DEAD_LETTERS__RULES", '[{"actor": "x"}]', "is missing"),
        ("DEAD_LETTERS__RULES", '[{"to": "x", "actr": "y"}]', "must not have 'actr'; a rule has to, queue"),
        ("DEAD_LETTERS__RULES", '[{"to": "no queue"}]', "must name a queue in `to`"),
        ("RETRIES__RETRYABLE", "http:999", 'must write an HTTP status as "http:429"'),
        ("RETRIES__PERMANENT", "*", "must not hold an entry that fits every failure"),
        ("WORKERS__STUCK_SECONDS", "0.5", "must be at least 1"),
        ("QUEUE_DEFAULTS__RETRY_FOR_MS", "0", "must be at least 1"),
    ],
)
def test_what_cannot_hold_is_refused_with_the_reason(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    with pytest.raises(SettingsError, match=words.replace("[", r"\[")):
        load_settings({f"CALLBOARD_{name}": value}, tmp_path)


def test_a_queue_has_a_time_for_its_retries(tmp_path: Path) -> None:
    settings = load_settings({"CALLBOARD_QUEUES__EMAIL_SYNC__RETRY_FOR_MS": "2h"}, tmp_path)
    assert settings.policy("email-sync").retry_for_ms == 7_200_000
    assert settings.policy("email-send").retry_for_ms is None
