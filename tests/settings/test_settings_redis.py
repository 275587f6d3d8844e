"""Which Redis is meant, and when it is too open for production."""

import pytest


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"REDIS_URL": "redis://cache:6380/2"}, "redis://cache:6380/2"),
        ({"REDIS_URL": "rediss://u:p%40@cache"}, "rediss://u:p%40@cache"),
        ({"REDIS_URL": "redis://cache", "REDIS_TLS": "true"}, "rediss://cache"),
        ({"REDIS_URL": "redis://cache:1", "REDIS_PASSWORD": "p@:/ä"}, "redis://:p%40%3A%2F%C3%A4@cache:1"),
        ({"REDIS_URL": "redis://ann@cache", "REDIS_PASSWORD": "pw"}, "redis://ann:pw@cache"),
        ({"REDIS_URL": "redis://u:one@cache", "REDIS_PASSWORD": "two"}, "redis://u:one@cache"),
        ({"REDIS_HOST": "cache"}, "redis://cache:6379/0"),
        (
            {"REDIS_HOST": "::1", "REDIS_PORT": "7", "REDIS_USERNAME": "a b", "REDIS_PASSWORD": "x"},
            "redis://a%20b:x@[::1]:7/0",
        ),
        ({"REDIS_HOST": "cache", "REDIS_TLS": "1"}, "rediss://cache:6379/0"),
    ],
)
def test_redis_is_named_by_url_or_by_parts(load, environ, url):
    assert load("", **environ).redis.effective_url() == url


def test_parts_without_a_server_are_refused(refused):
    assert refused(REDIS_PORT="6380") == (
        "redis must name the server when port is set: add url or host (environment REDIS_PORT)."
    )


def test_an_address_in_the_environment_replaces_the_whole_address_in_the_file(load):
    file = "[redis]\nurl = 'redis://u:filepw@old:1'\nnamespace = 'mine'"
    by_host = load(file, REDIS_HOST="new").redis
    assert by_host.effective_url() == "redis://new:6379/0"
    assert by_host.namespace == "mine"

    parts = "[redis]\nhost = 'old'\npassword = 'filepw'\ntls = true"
    assert load(parts, REDIS_URL="redis://new:2").redis.effective_url() == "redis://new:2"
    assert ("redis", "password") not in load(parts, REDIS_URL="redis://new:2").sources


@pytest.mark.parametrize("name", ["CALLBOARD_ENV", "NODE_ENV"])
def test_production_refuses_a_redis_without_password_and_tls(refused, name):
    assert refused("", REDIS_URL="redis://cache.example:6379", **{name: "production"}) == (
        "Redis at cache.example (environment REDIS_URL) needs a password and TLS in production: use "
        "rediss://user:password@cache.example or set redis.allow_insecure = true."
    )


@pytest.mark.parametrize(
    ("url", "lacking"),
    [("redis://:pw@cache.example", "needs TLS in"), ("rediss://cache.example", "needs a password in")],
)
def test_production_says_which_of_the_two_is_lacking(refused, url, lacking):
    assert lacking in refused("", CALLBOARD_ENV="production", REDIS_URL=url)


@pytest.mark.parametrize(
    ("toml", "environ"),
    [
        ("", {"REDIS_URL": "rediss://u:pw@cache.example"}),
        ("", {"REDIS_URL": "redis://localhost"}),
        ("", {"REDIS_URL": "redis://127.0.0.9:1"}),
        ("", {"REDIS_URL": "redis://[::1]:1"}),
        ("", {"REDIS_URL": "redis://cache", "REDIS_TLS": "true", "REDIS_PASSWORD": "pw"}),
        ("redis.allow_insecure = true", {"REDIS_URL": "redis://cache.example"}),
        ("", {}),
    ],
)
def test_production_accepts_a_closed_redis_loopback_or_an_explicit_leave(load, toml, environ):
    assert load(toml, CALLBOARD_ENV="production", **environ).env == "production"


def test_a_host_that_only_begins_like_loopback_is_not_loopback(refused):
    assert "needs" in refused("", CALLBOARD_ENV="production", REDIS_URL="redis://localhost.example")
    assert "needs" in refused("", CALLBOARD_ENV="production", REDIS_URL="redis://127.0.0.1.example")


def test_postgresql_is_always_reached_by_psycopg(load):
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        assert load("", DATABASE_URL=f"{scheme}://u:p@h/d").database_url == "postgresql+psycopg://u:p@h/d"


def test_a_mailbox_listens_on_the_usual_port_of_its_tls_mode(load):
    box = "host = 'h'\nusername = 'u'\npassword = 'p'\n"
    settings = load(
        f"[mailboxes.a]\n{box}[mailboxes.b]\n{box}tls = 'starttls'\n[mailboxes.c]\n{box}tls='none'\nport=1"
    )
    assert [settings.mailboxes[name].port for name in "abc"] == [993, 143, 1]
    assert settings.mailboxes["a"].folder == "INBOX"
