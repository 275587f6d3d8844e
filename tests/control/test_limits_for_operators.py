"""Limits that count while jobs run, and providers, for operators: seen, changed, kept, reset."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.composition import App
from control.service import KeptRules, LimitService
from database.limit_changes import LimitChanges
from database.migrations import migrate
from jobs.errors import InvalidAdjustment, UnknownLimit
from jobs.limits import BreakerTerms, News
from jobs.memory import MemoryStore
from settings import Settings
from tests.control.asking import error_of

MAIL = {"by": "tenant", "algorithm": "sliding_window", "limit": 5, "per": "1min"}


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[App]:
    app = App(
        Settings(home=tmp_path, limits={"mail": MAIL}, providers={"gmail": {"failures": 1}}), MemoryStore()
    )
    migrate(app.engine())
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
    limited.broker.store = MemoryStore()
    assert KeptRules(limited, "api").restore_if_new() == 2
    assert limited.store.limit_changes() == {("mail", None): {"limit": 7, "per_ms": 1_000}}
    assert KeptRules(limited, "api").restore_if_new() == 0


def test_a_limit_follows_the_settings_again(limited: App, verbs: LimitService) -> None:
    verbs.change("mail", None, {"limit": 7})
    assert [rule.allowed for rule in verbs.forget("mail", None).rules] == [5]
    assert limited.store.limit_changes() == {}
    assert LimitChanges(limited.engine()).read() == []


def test_what_cannot_be_changed_is_refused_and_not_kept(limited: App, verbs: LimitService) -> None:
    with pytest.raises(UnknownLimit, match="no limit named 'mial'; there is mail"):
        verbs.change("mial", None, {"limit": 7})
    with pytest.raises(InvalidAdjustment):
        verbs.change("mail", None, {"limit": 0})
    assert LimitChanges(limited.engine()).read() == []


def test_a_breaker_is_seen_and_closed(limited: App, verbs: LimitService) -> None:
    limited.store.provider_news("gmail", News.FAILED, BreakerTerms(failures=1), queue="email-sync")
    assert [(one.provider, one.state) for one in verbs.providers()] == [("gmail", "open")]
    assert verbs.reset("gmail").state == "closed"
    with pytest.raises(UnknownLimit):
        verbs.reset("hotmail")


def test_the_api_shows_limits_and_refuses_unknown_ones(api) -> None:
    assert api.get("/api/v1/limits").json() == {"rules": [], "counters": []}
    assert api.get("/api/v1/providers").json() == []
    answer = api.put("/api/v1/limits/mial", json={"limit": 3, "per": "1min"})
    assert answer.status_code == 404
    assert "There is no limit named 'mial'" in error_of(answer).message
