"""Defaults, then the file, then the environment; and who gets the last word is shown."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from settings import Settings, describe, load_settings, mask_url
from settings.environment import KEPT_NAMES
from settings.model import CHECKOUT
from settings.policy import Backoff, QueuePolicy, Retention

EXAMPLE = CHECKOUT / "docs" / "callboard.example.toml"


def line(settings: Settings, key: str) -> tuple[str, str]:
    found = {entry.key: (entry.value, entry.source) for entry in describe(settings)}
    return found[key]


def test_nothing_needs_to_be_set(load):
    settings = load()
    assert settings.env == "development"
    assert settings.home == CHECKOUT / ".callboard"
    assert settings.redis.effective_url() is None
    assert settings.redis.namespace == "callboard"
    assert settings.database_url == f"sqlite:///{CHECKOUT}/.callboard/callboard.db"
    assert (settings.api.host, settings.api.port, settings.api.docs) == ("127.0.0.1", 8642, True)
    assert settings.workers.threads is None
    assert settings.workers.start is True
    assert (settings.workers.lease_seconds, settings.workers.stop_seconds) == (15, 50)
    assert settings.workers.max_lost_leases == 3
    assert settings.workers.effective_id == f"{socket.gethostname()}:{os.getpid()}"
    assert settings.payload.max_bytes == 102_400
    assert settings.reports_folder == CHECKOUT / ".callboard" / "reports"
    assert {entry.source for entry in describe(settings)} == {"default"}


def test_the_file_lies_over_the_defaults_and_the_environment_over_the_file(load):
    file = "[api]\nport = 1111\nhost = '0.0.0.0'"
    assert line(load(), "api.port") == ("8642", "default")
    assert line(load(file), "api.port") == ("1111", "callboard.toml")
    both = load(file, CALLBOARD_API__PORT="2222")
    assert line(both, "api.port") == ("2222", "environment CALLBOARD_API__PORT")
    assert line(both, "api.host") == ("0.0.0.0", "callboard.toml")
    assert line(both, "api.docs") == ("true", "default")


def test_callboard_config_names_the_file_and_is_its_source(tmp_path: Path):
    (tmp_path / "mine.toml").write_text("[api]\nport = 1111")
    settings = load_settings({"CALLBOARD_CONFIG": "mine.toml"}, tmp_path)
    assert line(settings, "api.port") == ("1111", "mine.toml")


KEPT_VALUES = {
    "REDIS_URL": ("rediss://h:1", "rediss://h:1"),
    "REDIS_PORT": ("7000", "7000"),
    "REDIS_TLS": ("true", "true"),
    "DATABASE_URL": ("sqlite:////d/x.db", "sqlite:////d/x.db"),
    "WORKER_TYPE": ("ai", "ai"),
    "WORKER_CONCURRENCY": ("12", "12"),
    "START_WORKERS": ("false", "false"),
    "QUEUE_BACKOFF_STRATEGY": ("linear", "linear"),
    "QUEUE_MAX_RETRIES": ("4", "5"),
    "SMTP_PORT": ("25", "25"),
    "NODE_ENV": ("production", "production"),
    "CALLBOARD_ENV": ("production", "production"),
    "CALLBOARD_HOME": ("/srv/callboard", "/srv/callboard"),
    "REDIS_PASSWORD": ("pw", "********"),
    "SMTP_PASS": ("pw", "********"),
    "SENTRY_DSN": ("https://key@sentry.example/1", "********"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("http://collector:4318", "http://collector:4318"),
    "OTEL_EXPORTER_OTLP_HEADERS": ("authorization=word", "********"),
}


@pytest.mark.parametrize("name", KEPT_NAMES)
def test_each_kept_name_of_the_environment_sets_its_key(load, name):
    value, shown = KEPT_VALUES.get(name, ("word", "word"))
    server = (
        {"REDIS_HOST": "localhost"}
        if name.startswith("REDIS_") and name not in ("REDIS_HOST", "REDIS_URL")
        else {}
    )
    settings = load("", **{name: value}, **server)
    assert line(settings, ".".join(KEPT_NAMES[name])) == (shown, f"environment {name}")


def test_an_empty_variable_counts_as_unset(load):
    settings = load("api.port = 1111", REDIS_URL="", CALLBOARD_API__PORT="")
    assert settings.redis.url is None
    assert settings.api.port == 1111


def test_the_longer_name_wins_over_the_kept_one(load):
    settings = load("", WORKER_CONCURRENCY="3", CALLBOARD_WORKERS__THREADS="4")
    assert line(settings, "workers.threads") == ("4", "environment CALLBOARD_WORKERS__THREADS")


def test_upper_case_with_underscores_finds_the_entry_that_is_there(load):
    settings = load(
        "queues.My_Queue.attempts = 2\n[mailboxes.'ann@example.com']\nhost = 'h'\nusername = 'ann'",
        CALLBOARD_QUEUES__EMAIL_SYNC__CONCURRENCY="9",
        CALLBOARD_QUEUES__MY_QUEUE__BACKOFF__DELAY_MS="3s",
        CALLBOARD_MAILBOXES__ANN_EXAMPLE_COM__PASSWORD="pw",
        CALLBOARD_QUEUES__BRAND_NEW__PRIORITY="1",
    )
    assert settings.policy("email-sync").concurrency == 9
    assert settings.policy("My_Queue").backoff.delay_ms == 3_000
    assert settings.mailboxes["ann@example.com"].password.get_secret_value() == "pw"
    assert settings.policy("brand-new").priority == 1


def test_lists_and_tables_can_come_from_the_environment(load):
    settings = load(
        "",
        CALLBOARD_MIDDLEWARE__WITHOUT="a.B, c.D",
        CALLBOARD_GROUPS__MAIL="email-sync,email-send",
        CALLBOARD_ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8, ::1",
        CALLBOARD_SCHEDULES__SCHEDULED_SYNC__ARGS='{"user_id": 1}',
    )
    assert settings.middleware.without == ("a.B", "c.D")
    assert settings.groups["mail"] == ("email-sync", "email-send")
    assert settings.schedules["scheduled-sync"].args == {"user_id": 1}
    assert settings.allows_private("127.0.0.1")
    assert settings.allows_private("::1")
    assert not settings.allows_private("10.0.0.1")
    assert load("allow_private_addresses = true").allows_private("10.0.0.1")


def test_a_variable_of_another_program_is_left_alone(load):
    assert load("", NODE_ENV="test", QUEUE_COLOUR="red", REDISS="x").env == "development"


def test_relative_folders_begin_where_the_command_was_started(load, tmp_path: Path):
    settings = load("home = 'data'\nreports.folder = 'out'")
    assert settings.home == tmp_path / "data"
    assert settings.reports_folder == tmp_path / "out"


def test_every_value_is_shown_once_with_secrets_masked(load):
    settings = load(
        "[mailboxes.a]\nhost = 'h'\nusername = 'ann'\npassword = 'hunter2'\n"
        f"[webhooks.w]\nurl = 'https://u:hunter2@h/x?token=hunter2'\nsecret = 'whsec_{'hunter2' * 4}'",
        REDIS_URL="redis://user:hunter2@localhost:6379/0",
        DATABASE_URL="postgres://user:hunter2@db/app?sslpassword=hunter2",
        SENTRY_DSN="https://hunter2@sentry.example/1",
        SMTP_PASS="hunter2",
        CALLBOARD_SCHEDULES__SCHEDULED_SYNC__ARGS='{"card": "hunter2"}',
    )
    lines = describe(settings)
    assert len({entry.key for entry in lines}) == len(lines)
    assert "hunter2" not in "\n".join(f"{entry}" for entry in lines)
    assert "hunter2" not in repr(settings.redis) + repr(settings.database) + repr(settings.smtp)
    assert line(settings, "redis.url")[0] == "redis://user:********@localhost:6379/0"
    assert line(settings, "webhooks.w.url")[0] == "https://u:********@h/x?token=********"
    assert line(settings, "schedules.scheduled-sync.args")[0] == "card"
    assert [entry.key for entry in describe(settings, "api.")] == ["api.host", "api.port", "api.docs"]


def test_a_url_without_a_password_is_shown_as_it_is():
    assert mask_url("redis://localhost:6379/0") == "redis://localhost:6379/0"
    assert mask_url("redis://:pw@[::1]:6379") == "redis://:********@[::1]:6379"
    assert mask_url("redis://u:pw@[bad") == "********"


def test_settings_cannot_be_changed_after_they_were_read(load):
    settings = load("[tenants.acme]\nweight = 2")
    with pytest.raises(ValidationError):
        settings.env = "production"
    with pytest.raises(ValidationError):
        settings.policy("email-sync").backoff.delay_ms = 1
    for table in (
        settings.queues,
        settings.tenants,
        settings.aliases,
        settings.aliases["email"],
        settings.sources,
        settings.schedules["scheduled-sync"].args,
    ):
        assert isinstance(table, Mapping)
        with pytest.raises(TypeError):
            table["x"] = table  # type: ignore[index]


def test_settings_made_in_code_do_not_read_the_process_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ENV", "production")
    monkeypatch.setenv("API", '{"port": 1}')
    assert Settings().env == "development"
    assert Settings().api.port == 8642


def test_the_example_file_loads_and_changes_none_of_the_defaults_it_shows(tmp_path: Path):
    example = load_settings({"CALLBOARD_CONFIG": str(EXAMPLE)}, tmp_path)
    plain = load_settings({}, tmp_path)
    for section in Settings.model_fields:
        if section not in {"groups", "aliases", "tenants", "mailboxes", "webhooks"}:
            assert getattr(example, section) == getattr(plain, section), section
    text = EXAMPLE.read_text()
    assert [
        name for name in Settings.model_fields if f"[{name}" not in text and f"{name} = " not in text
    ] == []


def test_the_example_file_names_every_key_of_a_queue_and_of_a_tenant():
    keys = {*QueuePolicy.model_fields, *Retention.model_fields, *Backoff.model_fields, "weight"}
    text = EXAMPLE.read_text()
    assert [key for key in sorted(keys) if f"{key} = " not in text and f".{key}]" not in text] == []


def test_reading_settings_takes_well_under_50_ms(tmp_path: Path):
    environ = {"CALLBOARD_CONFIG": str(EXAMPLE), "CALLBOARD_API__PORT": "1"}
    times = []
    for _ in range(5):
        start = time.process_time()
        load_settings(environ, tmp_path)
        times.append(time.process_time() - start)
    assert min(times) < 0.05
