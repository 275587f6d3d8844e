"""Settings become the rules that the store and the workers go by."""

import dataclasses
from typing import Any

import pytest

from actors.composition import App
from jobs.memory import MemoryStore
from jobs.model import Retention
from jobs.rules import QueueRules, Rate
from settings import Settings


def app_with(**settings: Any) -> App:
    return App(Settings(**settings), MemoryStore())


def test_a_queue_without_a_policy_has_the_rules_without_one() -> None:
    assert app_with().rules_of("invoices") == QueueRules()


def test_every_rule_comes_from_the_policy() -> None:
    policy = {
        "concurrency": 7,
        "global_concurrency": 20,
        "rate": "10/s",
        "per_worker_rate": "4/s",
        "share": "mail",
        "tenant_concurrency": 2,
        "tenant_rate": "100/min",
        "gate_concurrency": 3,
        "gate_rate": "5/10s",
        "priority": 2,
        "priority_scope": "lane",
        "fairness": "time",
        "attempts": 9,
        "backoff": {"delay_ms": "7s"},
        "timeout_ms": "90s",
        "retry_for_ms": "2h",
        "dead_letter": "lost",
        "id_memory_ms": "30 days",
        "require_tenant": True,
        "encryption": False,
        "payload_blob": True,
        "results": {"store": False, "max_bytes": 10, "ttl_ms": "1h"},
        "retention": {
            "completed_count": 5,
            "completed_age_ms": "1h",
            "failed_count": 50,
            "failed_age_ms": "2h",
        },
    }
    routes = {"rules": [{"to": "money", "queue": ["letters"], "code": ["timeout"]}]}
    rules = app_with(queues={"letters": policy}, dead_letters=routes).rules_of("letters")

    assert (rules.concurrency, rules.global_concurrency, rules.rate) == (7, 20, Rate(10, 1_000))
    assert rules.worker_rate == Rate(4, 1_000)
    assert (rules.share, rules.priority) == ("mail", 2)
    assert (rules.lane_concurrency, rules.lane_rate) == (2, Rate(100, 60_000))
    assert (rules.gate_concurrency, rules.gate_rate) == (3, Rate(5, 10_000))
    assert (rules.priority_scope, rules.fairness) == ("lane", "time")
    assert (rules.attempts, rules.backoff.delay_ms, rules.timeout_ms) == (9, 7_000, 90_000)
    assert rules.retention == Retention(3_600_000, 7_200_000, 50)
    assert (rules.keep_completed, rules.dead_letter) == (5, "lost")
    assert rules.id_memory_ms == 30 * 24 * 3_600_000
    assert (rules.require_tenant, rules.encryption) == (True, False)
    assert (rules.store_results, rules.result_bytes, rules.result_ms) == (False, 10, 3_600_000)
    assert rules.payload_blob
    assert (rules.retry_for_ms, [rule.to for rule in rules.letters]) == (7_200_000, ["money"])

    plain = QueueRules()
    same = [
        field.name
        for field in dataclasses.fields(rules)
        if getattr(rules, field.name) == getattr(plain, field.name)
    ]
    assert same == [], "a rule that no setting reaches"


def test_rules_are_made_once_because_every_send_compares_them() -> None:
    app = app_with()
    assert app.rules_of("letters") is app.rules_of("letters")


@pytest.mark.parametrize(
    ("queue", "rate"),
    [
        ("email-sync", Rate(10, 1_000)),
        ("email-send", Rate(100, 60_000)),
        ("lead-enrichment", Rate(1_000, 60_000)),
        ("integration-sync", Rate(30, 60_000)),
        ("webhook-deliver", None),
    ],
)
def test_the_rates_of_the_catalogue_hold(queue: str, rate: Rate | None) -> None:
    assert app_with().rules_of(queue).rate == rate


def test_a_row_of_several_queues_shares_its_numbers() -> None:
    app = app_with()
    rows = [("ai-insights", "ai-anomalies"), ("document-ocr", "document-thumbnail")]
    for one, other in rows:
        first, second = app.rules_of(one), app.rules_of(other)
        assert first.share == second.share != ""
        assert (first.rate, first.concurrency) == (second.rate, second.concurrency)
    assert app.rules_of("ai-insights").rate == Rate(10, 60_000)
    assert app.rules_of("email-sync").share == ""


def test_a_queue_with_concurrency_one_is_serial_over_all_workers() -> None:
    assert app_with().rules_of("scheduled-sync").global_concurrency == 1


def test_the_weights_of_tenants_reach_the_workers() -> None:
    app = app_with(tenants={"acme": {"weight": 2.5}})
    assert app.broker.weights == {"acme": 2.5}
