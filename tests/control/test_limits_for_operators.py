"""Limits that count while jobs run, and providers, for operators: seen, changed, kept, reset."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from actors import app as platform
from actors.composition import App
from control.api.keys import KeyFile
from control.service import JobService, KeptRules, LimitService
from database.limit_changes import LimitChanges
from jobs.errors import InvalidAdjustment, InvalidPayload, UnknownLimit
from jobs.limits import BreakerTerms, LimitRule, News, Terms, WaitScope, Want, key_of
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, NewJob, Outcome, Verdict, WorkerInfo
from tests.control.asking import error_of
from tests.control.board import small_app
from tests.control.running import refused
from tests.control.serving import serving
from tests.tables import give_tables

RULES: dict[str, Any] = {
    "limits": {
        "mail": {"by": "tenant", "algorithm": "sliding_window", "limit": 5, "per": "1min"},
        "whole": {"by": "global", "algorithm": "concurrency", "limit": 5},
    },
    "providers": {"gmail": {"failures": 1}, "smtp": {"rate": "10/min"}},
    "queue_defaults": {"per_resource_rate": "9/min"},
    "queues": {"count": {"per_resource_rate": None}},
}


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[App]:
    app = small_app(MemoryStore(), tmp_path, **RULES)
    give_tables(app.engine())
    yield app
    app.engine().dispose()


@pytest.fixture
def verbs(limited: App) -> LimitService:
    return LimitService(limited, "ann")


def test_a_change_for_a_tenant_holds_is_seen_and_kept(limited: App, verbs: LimitService) -> None:
    view = verbs.change("mail", "acme", {"limit": 9})
    assert [(rule.tenant_id, rule.allowed, rule.changed) for rule in view.rules] == [
        (None, 5, []),
        ("acme", 9, ["limit"]),
    ]
    assert limited.store.limit_changes() == {("mail", "acme"): {"limit": 9}}
    (kept,) = LimitChanges(limited.engine()).read()
    assert (kept.rule, kept.tenant, kept.name, kept.value, kept.by) == ("mail", "acme", "limit", 9, "ann")


def test_a_new_store_is_filled_from_what_is_kept(limited: App, verbs: LimitService) -> None:
    verbs.change("mail", None, {"limit": 7, "per_ms": 1_000})
    limited.broker.store = MemoryStore()  # it was restarted, and has lost all
    assert KeptRules(limited, "api").restore_if_new() == 2
    assert limited.store.limit_changes() == {("mail", None): {"limit": 7, "per_ms": 1_000}}
    assert KeptRules(limited, "api").restore_if_new() == 0


def test_a_limit_follows_the_settings_again(limited: App, verbs: LimitService) -> None:
    verbs.change("mail", None, {"limit": 7})
    assert [rule.allowed for rule in verbs.forget("mail", None).rules] == [5]
    assert limited.store.limit_changes() == {}
    assert LimitChanges(limited.engine()).read() == []


def test_what_cannot_be_changed_is_refused_and_not_kept(limited: App, verbs: LimitService) -> None:
    with pytest.raises(UnknownLimit, match="no limit named 'mial'; there is mail, whole"):
        verbs.change("mial", None, {"limit": 7})
    with pytest.raises(InvalidAdjustment):
        verbs.change("mail", None, {"limit": 0})
    assert LimitChanges(limited.engine()).read() == []


def test_a_breaker_is_seen_and_closed(limited: App, verbs: LimitService) -> None:
    limited.store.provider_news("gmail", News.FAILED, BreakerTerms(failures=1), queue="email-sync")
    assert [(one.provider, one.state) for one in verbs.providers()] == [("gmail", "open"), ("smtp", "closed")]
    assert verbs.reset("gmail").state == "closed"
    with pytest.raises(UnknownLimit):
        verbs.reset("hotmail")


def test_providers_show_their_rate_as_it_holds_and_what_of_it_is_used(
    limited: App, verbs: LimitService
) -> None:
    spend(limited, limited.limits.provider("smtp").rate_rule, 3)
    limited.store.provider_news("smtp", News.OVERLOADED, BreakerTerms(), queue="email-sync")
    gmail, smtp = verbs.providers()
    assert (gmail.rate, gmail.used, gmail.allowed) == (None, None, None)
    assert (smtp.rate, smtp.per_ms, smtp.share, smtp.allowed) == (10, 60_000, 0.5, 5)
    assert (smtp.used, smtp.left) == (3, 2)


def test_rates_of_providers_and_of_resources_are_among_the_limits(limited: App, verbs: LimitService) -> None:
    spend(limited, limited.limits.provider("smtp").rate_rule, 1)
    spend(limited, limited.limits.resource_rate_of("email-sync"), 2, "imap:acct-7", "acme")
    view = verbs.read()
    assert {("provider-rate:smtp", 10), ("per-resource-rate:email-sync", 9)} <= {
        (rule.limit, rule.allowed) for rule in view.rules
    }
    assert [(one.limit, one.by, one.whose, one.tenant_id, one.used) for one in view.counters] == [
        ("per-resource-rate:email-sync", "resource", "imap:acct-7", "acme", 2),
        ("provider-rate:smtp", "provider", "", None, 1),
    ]
    assert [one.whose for one in verbs.read("acme").counters] == ["imap:acct-7"]
    assert verbs.read("zeta").counters == []
    with pytest.raises(UnknownLimit, match=r"in the settings: \[providers.smtp\] rate"):
        verbs.change("provider-rate:smtp", None, {"limit": 3})


def test_the_rate_of_resources_follows_the_defaults_of_queues(limited: App) -> None:
    book = limited.limits
    assert [
        rule and rule.terms.limit for rule in map(book.resource_rate_of, ("any-queue", "email-sync"))
    ] == [
        9,
        9,
    ]
    assert book.resource_rate_of("count") is None  # its own policy says none
    assert book.resource_rule("any-queue", "imap") == book.resource_rate_of("any-queue")


@pytest.mark.parametrize("tenant", [None, "acme"])
def test_counters_come_in_pages(limited: App, verbs: LimitService, tenant: str | None) -> None:
    rule = limited.limits.rules["mail"]
    for number in range(5):
        spend(limited, rule, 1, f"t{number}", "acme" if number % 2 else "zeta")
    seen, after = [], None
    while True:
        page = verbs.read(tenant, limit=2, after=after)
        assert len(page.counters) <= 2
        seen += [one.whose for one in page.counters]
        if (after := page.next) is None:
            break
    assert seen == [f"t{number}" for number in range(5) if tenant is None or number % 2]
    with pytest.raises(InvalidPayload, match="after: give the 'next'"):
        verbs.read(after="no place")


# Over HTTP


@pytest.fixture
def limits_api(limited: App) -> Iterator[httpx2.Client]:
    key = KeyFile(limited.settings.home).ensure()
    headers = {"Authorization": f"Bearer {key}"}
    with (
        serving(limited) as url,
        httpx2.Client(base_url=f"{url}/api/v1", headers=headers, trust_env=False, timeout=30) as client,
    ):
        yield client


def test_a_limit_is_changed_read_and_given_back_over_http(limits_api: httpx2.Client, limited: App) -> None:
    told = {"tenantId": "acme", "limit": 9, "per": "2min"}
    changed = limits_api.put("/limits/mail", json=told).json()
    assert changed["rules"][1] == {
        "limit": "mail",
        "by": "tenant",
        "algorithm": "sliding_window",
        "tenantId": "acme",
        "allowed": 9,
        "perMs": 120_000,
        "burst": None,
        "changed": ["limit", "per_ms"],
    }
    assert limits_api.get("/limits/mail", params={"tenantId": "zeta"}).json()["rules"] == changed["rules"][:1]
    partly = limits_api.put("/limits/mail", json={"tenantId": "acme", "limit": None}).json()
    assert (partly["rules"][1]["allowed"], partly["rules"][1]["changed"]) == (5, ["per_ms"])
    forgotten = limits_api.delete("/limits/mail", params={"tenantId": "acme"}).json()
    assert [rule["tenantId"] for rule in forgotten["rules"]] == [None]
    assert limited.store.limit_changes() == {}


def test_counters_are_read_page_by_page_over_http(limits_api: httpx2.Client, limited: App) -> None:
    for tenant in ("acme", "beta", "zeta"):
        spend(limited, limited.limits.rules["mail"], 2, tenant, tenant)
    first = limits_api.get("/limits", params={"limit": 2}).json()
    assert [(one["whose"], one["used"], one["left"]) for one in first["counters"]] == [
        ("acme", 2, 3),
        ("beta", 2, 3),
    ]
    second = limits_api.get("/limits", params={"limit": 2, "after": first["next"]}).json()
    assert ([one["whose"] for one in second["counters"]], second["next"]) == (["zeta"], None)
    of_beta = limits_api.get("/limits", params={"tenantId": "beta"}).json()
    assert [one["tenantId"] for one in of_beta["counters"]] == ["beta"]
    for wrong in ({"limit": 0}, {"limit": 1_001}, {"after": "no place"}):
        assert limits_api.get("/limits", params=wrong).status_code in (400, 422)


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("GET", "/limits/mial", None, "no limit named 'mial'; there is mail, whole"),
        ("PUT", "/limits/mial", {"limit": 3}, "no limit named 'mial'"),
        ("DELETE", "/limits/mial", None, "no limit named 'mial'"),
        ("POST", "/providers/hotmail/reset", None, "no provider named 'hotmail'; there is gmail, smtp"),
        ("PUT", "/limits/whole", {"tenantId": "acme", "limit": 3}, "no tenant has numbers of its own"),
    ],
)
def test_what_is_not_there_is_named_over_http(
    limits_api: httpx2.Client, method: str, path: str, body: dict[str, int] | None, problem: str
) -> None:
    answer = limits_api.request(method, path, json=body)
    assert answer.status_code == 404
    assert problem in error_of(answer).message


def test_a_breaker_is_seen_and_closed_over_http(limits_api: httpx2.Client, limited: App) -> None:
    limited.store.provider_news("gmail", News.FAILED, BreakerTerms(failures=1), queue="email-sync")
    shown = {one["provider"]: one["state"] for one in limits_api.get("/providers").json()}
    assert shown == {"gmail": "open", "smtp": "closed"}
    assert limits_api.post("/providers/gmail/reset").json()["state"] == "closed"
    assert limited.store.provider_states(["gmail"])[0].state == "closed"


def test_limits_are_only_for_who_has_a_key(bare: httpx2.Client, limits_api: httpx2.Client) -> None:
    for path in ("limits", "limits/mail", "providers"):
        assert bare.get(f"{limits_api.base_url}{path}").status_code == 401


# On the command line


@pytest.fixture
def commands(memory: MemoryStore, limited: App, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """The commands speak to a store of their own, with the limits of the settings above."""
    monkeypatch.setattr(platform, "limits", limited.limits)
    return memory


def test_limits_are_listed_changed_and_given_back_on_the_command_line(
    here: Callable[..., Any], commands: MemoryStore
) -> None:
    assert row_of(here("limits", "list"), "mail")[1:] == ["tenant", "sliding_window", "5", "60s"]
    said = here("limits", "set", "mail", "--tenant", "acme", "--limit", "9")
    assert "acme" in said.stdout
    assert commands.limit_changes() == {("mail", "acme"): {"limit": 9}}
    of_acme = json.loads(here("limits", "list", "--tenant", "acme", "--name", "mail", "--json").stdout)
    assert [rule["allowed"] for rule in of_acme["rules"]] == [5, 9]
    here("limits", "set", "mail", "--tenant", "acme", "--per", "2min", "--limit", "settings")
    assert commands.limit_changes() == {("mail", "acme"): {"per_ms": 120_000}}
    here("limits", "reset", "mail", "--tenant", "acme")
    assert commands.limit_changes() == {}


def test_the_command_line_pages_and_refuses(here: Callable[..., Any], commands: MemoryStore) -> None:
    for tenant in ("acme", "zeta"):
        spend(platform, platform.limits.rules["mail"], 1, tenant, tenant)
    first = here("limits", "list", "--limit", "1").stdout
    assert "acme" in first
    assert "zeta" not in first
    rest = here("limits", "list", "--after", first.split("--after ")[1].strip()).stdout
    assert "zeta" in rest
    assert "acme" not in rest
    assert "There is no limit named 'mial'" in refused(here("limits", "set", "mial", "--limit", "3"))
    assert "There is no limit named 'mial'" in refused(here("limits", "reset", "mial"))


def test_providers_are_listed_and_closed_on_the_command_line(
    here: Callable[..., Any], commands: MemoryStore
) -> None:
    commands.provider_news("smtp", News.FAILED, BreakerTerms(failures=1), queue="email-sync")
    commands.provider_news("smtp", News.OVERLOADED, BreakerTerms(), queue="email-sync")
    shown = here("providers", "list").stdout
    assert "5 of 10 in 60s" in shown
    assert "open" in shown
    assert here("providers", "reset", "smtp").stdout == "smtp is closed\n"
    assert commands.provider_states(["smtp"])[0].state == "closed"
    assert "no provider named 'hotmail'" in refused(here("providers", "reset", "hotmail"))


# What holds a job


def test_why_names_the_limit_that_holds_a_job(limited: App) -> None:
    rule = limited.limits.rules["mail"]
    want = Want(
        key_of("mail", "acme"), "mail", rule.algorithm, Terms(1, 60_000), tenant="acme", waits=WaitScope.LANE
    )
    limited.store.enqueue([NewJob(f"j{n}", "email-sync", "email_sync", b"", lane="acme") for n in range(3)])
    limited.store.register(WorkerInfo("w", "host", 7, "0.1", 8, ("email-sync",), 0), lease_ms=3_600_000)
    first, second = limited.store.fetch(
        FetchRequest("w", "token", 2, {"email-sync": 2}, lease_ms=60_000)
    ).jobs
    for job in (first, second):
        granted = limited.store.acquire("w", job.id, job.token, [want], queue=job.queue).granted
    assert not granted
    held = Verdict(second.id, second.token, Outcome.HELD, reason="the limit mail is used up for acme")
    limited.store.settle("w", [held])
    for waiting in (second.id, "j2"):
        reasons = " ".join(JobService(limited).why(waiting).reasons)
        assert "the limit mail is used up for acme" in reasons


def spend(app: App, rule: LimitRule | None, units: int, whose: str = "", tenant: str = "") -> None:
    """A job takes so much of a counter."""
    assert rule is not None
    job_id = f"spends-{rule.name}-{whose}"
    app.store.enqueue([NewJob(job_id, "count", "count", b"")])
    app.store.register(WorkerInfo("spender", "host", 7, "0.1", 8, ("count",), 0), lease_ms=3_600_000)
    (job,) = app.store.fetch(FetchRequest("spender", job_id, 1, {"count": 1}, lease_ms=60_000)).jobs
    want = Want(
        key_of(rule.name, whose), rule.name, rule.algorithm, rule.terms, units, tenant, slows=rule.slows
    )
    assert app.store.acquire("spender", job.id, job.token, [want], queue="count").granted


def row_of(result: Any, name: str) -> list[str]:
    return next(line.split() for line in result.stdout.splitlines() if line.startswith(name))
