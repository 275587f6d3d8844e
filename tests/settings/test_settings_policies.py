"""The queues of the catalogue, row by row, and what other queues get."""

import pytest

from settings import Rate, Settings
from settings.catalogue import QUEUES

S, MIN = 1_000, 60_000

# queue, concurrency, rate, attempts, backoff, delay, timeout, priority, group (CATALOGUE section 2).
CATALOGUE = """
critical-alert           10 -        5 exponential 2000   300000  1 primary
email-sync               5  10/s     3 exponential 5000   300000  5 primary
email-draft              5  10/s     3 exponential 2000   120000  5 ai
email-send               10 100/min  5 exponential 2000   30000   5 primary
voice-call               3  5/s      2 exponential 5000   720000  3 primary
lead-enrichment          20 1000/min 3 fixed       2000   1800000 5 primary
workflow-run             50 10/s     3 exponential 2000   1800000 5 primary
webhook-deliver          15 -        5 exponential 30000  30000   5 primary
webhook-receive          15 -        5 exponential 2000   30000   5 primary
notification             20 -        5 exponential 2000   30000   5 primary
pdf-generate             10 -        3 exponential 2000   60000   5 document
report-generate          5  -        3 fixed       30000  600000  5 document
data-export              5  -        3 fixed       30000  600000  5 document
document-ocr             8  20/s     3 exponential 2000   300000  3 document
document-classify        8  20/s     3 exponential 2000   300000  3 document
document-extract         8  20/s     3 exponential 2000   300000  3 document
document-scan            8  20/s     3 exponential 2000   300000  3 document
document-thumbnail       8  20/s     3 exponential 2000   300000  3 document
llm-request              3  10/s     3 exponential 2000   600000  5 ai
ai-insights              5  10/min   3 exponential 5000   600000  3 ai
ai-classify-transactions 5  10/min   3 exponential 5000   600000  3 ai
ai-cash-flow             5  10/min   3 exponential 5000   600000  3 ai
ai-anomalies             5  10/min   3 exponential 5000   600000  3 ai
content-ingest           5  -        3 exponential 2000   600000  5 ai
content-reembed          5  -        3 exponential 2000   600000  5 ai
content-sync             5  -        3 exponential 2000   600000  5 ai
tool-execution           10 100/s    3 exponential 1000   120000  5 ai
seo-audit                3  -        3 exponential 10000  600000  7 primary
keyword-analysis         3  -        3 exponential 10000  600000  7 primary
ad-analysis              3  10/min   3 exponential 10000  600000  7 primary
ad-automation            3  10/min   3 exponential 10000  600000  7 primary
integration-sync         5  30/min   3 exponential 5000   120000  5 primary
data-processing          3  -        3 exponential 2000   600000  7 primary
cache-warmup             2  -        3 exponential 2000   600000  9 primary
memory-cleanup           2  5/min    3 exponential 5000   600000  9 scheduled
memory-consolidate       2  5/min    3 exponential 5000   600000  9 scheduled
maintenance-logs         2  -        2 fixed       30000  1800000 7 scheduled
maintenance-database     2  -        2 fixed       30000  1800000 7 scheduled
maintenance-cache        2  -        2 fixed       30000  1800000 7 scheduled
maintenance-locks        2  -        2 fixed       30000  1800000 7 scheduled
scheduled-reports        1  -        2 fixed       30000  600000  9 scheduled
scheduled-reminders      1  -        2 fixed       30000  600000  9 scheduled
scheduled-sync           1  -        2 fixed       30000  600000  9 scheduled
dead-letter              1  -        3 exponential 1000   300000  5 primary
"""
ROWS = [line.split() for line in CATALOGUE.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_queue_has_the_numbers_of_the_catalogue(row):
    policy = Settings().policy(row[0])
    assert [
        str(policy.concurrency),
        str(policy.rate or "-"),
        str(policy.attempts),
        policy.backoff.type,
        str(policy.backoff.delay_ms),
        str(policy.timeout_ms),
        str(policy.priority),
        policy.group,
    ] == row[1:]


def test_the_catalogue_has_no_other_queues():
    assert {row[0] for row in ROWS} == set(QUEUES)


def test_a_queue_of_the_users_own_gets_the_default_policy():
    policy = Settings().policy("invoices")
    assert (policy.concurrency, policy.rate, policy.attempts, policy.priority) == (5, None, 3, 5)
    assert (policy.backoff.type, policy.backoff.delay_ms, policy.backoff.jitter) == ("exponential", 1 * S, 0)
    assert (policy.timeout_ms, policy.group, policy.dead_letter) == (5 * MIN, "primary", "dead-letter")
    assert policy.retention.completed_count == 1_000
    assert policy.retention.completed_age_ms == 24 * 60 * MIN
    assert policy.retention.failed_age_ms == 7 * 24 * 60 * MIN
    assert policy.retention.failed_count is None
    assert policy.id_memory_ms == 7 * 24 * 60 * MIN
    assert (policy.tenant_concurrency, policy.tenant_rate) == (None, None)
    assert (policy.gate_concurrency, policy.gate_rate) == (None, None)
    assert (policy.priority_scope, policy.fairness) == ("queue", "jobs")
    assert (policy.encryption, policy.payload_blob) == (None, False)


def test_queues_of_one_row_share_its_concurrency_and_rate():
    settings = Settings()
    shares: dict[str, set[str]] = {}
    for name, policy in settings.queues.items():
        if policy.share:
            shares.setdefault(policy.share, set()).add(name)
    assert {name: len(queues) for name, queues in shares.items()} == {
        "document": 5,
        "ai": 4,
        "content": 3,
        "seo": 2,
        "ad": 2,
        "memory": 2,
        "maintenance": 4,
        "scheduled": 3,
    }


def test_limits_per_provider_and_per_host_are_named_apart():
    settings = Settings()
    assert settings.policy("lead-enrichment").per_resource_rate == Rate(10, 1)
    assert settings.policy("seo-audit").per_resource_rate == Rate(1, 1)
    assert settings.workers.browser_sessions == 3


def test_only_the_queues_of_the_ruling_may_use_the_blob_store():
    blob = {name for name, policy in Settings().queues.items() if policy.payload_blob}
    documents = {name for name in QUEUES if name.startswith("document-")}
    assert blob == documents | {"lead-enrichment", "data-processing", "report-generate", "llm-request"}


def test_a_queue_with_concurrency_one_is_serial_over_all_workers(load):
    settings = load("queues.a.concurrency = 1\nqueues.b.concurrency = 2\nqueues.c.global_concurrency = 8")
    assert settings.policy("a").effective_global_concurrency == 1
    assert settings.policy("b").effective_global_concurrency is None
    assert settings.policy("c").effective_global_concurrency == 8


def test_limits_of_tenants_and_gates_come_from_the_file_and_the_environment(load):
    settings = load(
        "[queues.calls]\ntenant_concurrency = 2\ntenant_rate = '100/min'\ngate_concurrency = 1\n"
        "priority_scope = 'lane'\nfairness = 'time'\nid_memory_ms = '30 days'\n"
        "retention = { failed_count = 500 }",
        CALLBOARD_QUEUES__CALLS__GATE_RATE="5/10s",
        CALLBOARD_QUEUE_DEFAULTS__TENANT_CONCURRENCY="7",
        CALLBOARD_TENANTS__ACME__WEIGHT="2.5",
    )
    calls = settings.policy("calls")
    assert (calls.tenant_concurrency, calls.tenant_rate) == (2, Rate(100, 60))
    assert (calls.gate_concurrency, calls.gate_rate) == (1, Rate(5, 10))
    assert (calls.priority_scope, calls.fairness) == ("lane", "time")
    assert (calls.id_memory_ms, calls.retention.failed_count) == (30 * 24 * 60 * MIN, 500)
    assert settings.policy("email-sync").tenant_concurrency == 7
    assert settings.tenants["acme"].weight == 2.5


def test_a_value_of_the_file_changes_only_itself(load):
    policy = load("queues.email-sync.backoff.delay_ms = '7s'").policy("email-sync")
    assert policy.backoff.delay_ms == 7_000
    assert policy.backoff.type == "exponential"
    assert (policy.concurrency, policy.rate) == (5, Rate(10, 1))
    assert load("queues.email-sync.rate = 'none'").policy("email-sync").rate is None


def test_queue_max_retries_and_strategy_apply_only_where_a_queue_has_no_value_of_its_own(load):
    settings = load(
        "queues.own.attempts = 9\n[queues.half]\nconcurrency = 2\nbackoff.delay_ms = '3s'",
        QUEUE_MAX_RETRIES="6",
        QUEUE_BACKOFF_STRATEGY="linear",
    )
    assert settings.policy("unknown").attempts == 7
    assert settings.policy("unknown").backoff.type == "linear"
    assert settings.policy("half").attempts == 7
    assert (settings.policy("half").backoff.type, settings.policy("half").backoff.delay_ms) == (
        "linear",
        3_000,
    )
    assert settings.policy("own").attempts == 9
    assert settings.policy("email-sync").attempts == 3
    assert settings.policy("email-sync").backoff.type == "exponential"
    assert settings.sources[("queues", "half", "attempts")] == "environment QUEUE_MAX_RETRIES"
    assert ("queues", "email-sync", "attempts") not in settings.sources
    assert load("", QUEUE_MAX_RETRIES="0").policy("unknown").attempts == 1


def test_queue_defaults_reach_what_the_catalogue_does_not_say(load):
    settings = load("queue_defaults.retention.completed_count = 'none'\nqueue_defaults.attempts = 8")
    assert settings.policy("email-sync").retention.completed_count is None
    assert settings.policy("email-sync").attempts == 3


DECLARED = {"email-sync", "email-draft", "pdf-generate", "memory-cleanup", "invoices"}


@pytest.mark.parametrize(
    ("kind", "selected"),
    [
        ("all", None),
        ("primary", {"email-sync", "invoices"}),
        ("document", {"pdf-generate"}),
        ("ai", {"email-draft"}),
        ("scheduled", {"memory-cleanup"}),
        ("document, ai", {"pdf-generate", "email-draft"}),
        ("mail", {"email-sync", "email-draft"}),
        ("ai,all", None),
    ],
)
def test_worker_type_selects_the_queues_of_a_group(load, kind, selected):
    settings = load("groups.mail = ['email-sync', 'email-draft', 'email-send']", WORKER_TYPE=kind)
    assert settings.selected_queues(DECLARED) == selected


def test_a_queue_can_make_a_group_of_its_own(load):
    settings = load("queues.invoices.group = 'billing'\nworkers.type = 'billing'")
    assert settings.selected_queues(DECLARED) == {"invoices"}


SCHEDULES = {
    "scheduled-reports": ("0 9 * * *", False),
    "scheduled-reminders": ("0 8 * * 1-5", False),
    "scheduled-sync": ("*/15 * * * *", False),
    "memory-cleanup": ("0 3 * * *", False),
    "memory-consolidate": ("0 4 * * 0", False),
    "maintenance-logs": ("30 2 * * *", True),
    "maintenance-database": ("0 2 * * 0", False),
    "maintenance-cache": ("15 * * * *", False),
    "maintenance-locks": ("*/5 * * * *", True),
}


def test_the_default_schedules_are_those_of_the_catalogue(load):
    schedules = Settings().schedules
    assert {name: (entry.cron, entry.enabled) for name, entry in schedules.items()} == SCHEDULES
    assert {entry.timezone for entry in schedules.values()} == {"UTC"}
    assert all(entry.actor.replace("_", "-") == name for name, entry in schedules.items())

    on = load("schedules.scheduled-sync.enabled = true").schedules["scheduled-sync"]
    assert (on.enabled, on.cron) == (True, "*/15 * * * *")
