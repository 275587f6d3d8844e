"""Which Redis is meant, and when it is too open for production."""

import pytest

from settings import SettingsError, check_queues


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
        (
            {"REDIS_URL": "unix:///run/redis.sock?db=1", "REDIS_PASSWORD": "p"},
            "unix://:p@/run/redis.sock?db=1",
        ),
        ({"REDIS_URL": "redis+sentinel://s1,s2:26380/jobs"}, "redis+sentinel://s1,s2:26380/jobs"),
        (
            {"REDIS_URL": "redis+sentinel://s1,s2/jobs", "REDIS_TLS": "true", "REDIS_PASSWORD": "p,@"},
            "rediss+sentinel://:p%2C%40@s1,s2/jobs",
        ),
        ({"REDIS_URL": "redis+cluster://[::1]:7000,n2:7001"}, "redis+cluster://[::1]:7000,n2:7001"),
    ],
)
def test_redis_is_named_by_url_or_by_parts(load, environ, url):
    assert load("", **environ).redis.effective_url() == url


def test_parts_without_a_server_are_refused(refused):
    assert refused(REDIS_PORT="6380") == (
        "redis must name the server when port is set: add url or host (environment REDIS_PORT)."
    )


def test_the_login_of_the_sentinels_and_the_certificates_go_into_the_url(load, tmp_path):
    file = "redis.tls_ca_file = 'ca.pem'\nredis.tls_cert_file = '/etc/own.pem'\n"
    url = load(
        file,
        REDIS_URL="rediss+sentinel://s1/jobs?ssl_certfile=/first.pem",
        CALLBOARD_REDIS__SENTINEL_PASSWORD="a&b",
    ).redis.effective_url()
    ca = f"{tmp_path}/ca.pem".replace("/", "%2F")
    assert url == (
        f"rediss+sentinel://s1/jobs?ssl_certfile=/first.pem&ssl_ca_certs={ca}&sentinel_password=a%26b"
    )


def test_certificates_are_for_tls_only(load):
    assert load("redis.tls_ca_file = 'ca.pem'", REDIS_HOST="h").redis.effective_url() == "redis://h:6379/0"


@pytest.mark.parametrize(
    "url",
    [
        "http://cache",
        "redis://one,two",
        "redis://cache:0",
        "redis+sentinel://one:26379",
        "redis+sentinel://one,,two/jobs",
        "redis+cluster://one:99999",
        "unix://host/path",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_shown(refused, url):
    text = refused(REDIS_URL=url)
    assert text.startswith("redis.url must be a URL like redis://host:6379")
    assert url not in text


def test_the_login_of_the_sentinels_needs_sentinels(refused):
    text = refused("[redis]\nurl = 'redis://cache'\nsentinel_password = 'x'")
    assert text.startswith("redis must have a redis+sentinel:// url when the login of the sentinels is set")


def test_the_files_login_of_the_sentinels_is_not_told_to_another_server(load):
    file = "[redis]\nurl = 'redis+sentinel://s1/jobs'\nsentinel_password = 'x'"
    assert (
        load(file, REDIS_URL="redis+sentinel://s2/jobs").redis.effective_url() == "redis+sentinel://s2/jobs"
    )


def test_shards_are_queues_by_name(load):
    assert load("").redis.shards == {}
    settings = load("[redis.shards]\nurgent = ['critical-alert', 'email-sync']\nslow = []")
    assert settings.redis.shards == {"urgent": ("critical-alert", "email-sync"), "slow": ()}
    assert load("", CALLBOARD_REDIS__SHARDS__URGENT="a,b").redis.shards == {"urgent": ("a", "b")}


def test_a_queue_is_in_one_shard(refused):
    assert refused("[redis.shards]\none = ['a']\ntwo = ['a']") == (
        "redis.shards must name a once, not in one and in two (callboard.toml)."
    )
    assert "must have names of" in refused("[redis.shards]\n'a{b' = ['a']")


def test_a_shard_of_a_queue_that_nobody_has_is_refused(load):
    settings = load("[redis.shards]\nurgent = ['critical-alrt']")
    with pytest.raises(SettingsError, match=r"redis\.shards\.urgent names critical-alrt.*critical-alert"):
        check_queues(settings, ())


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
    [
        ("redis://:pw@cache.example", "needs TLS in"),
        ("rediss://cache.example", "needs a password in"),
        ("rediss://:pw@cache.example?ssl_cert_reqs=none", "needs verified certificates"),
        (
            "redis+sentinel://:pw@localhost,cache.example/jobs",
            "use rediss+sentinel://user:password@cache.example",
        ),
        ("redis+cluster://n1.example,n2.example", "needs a password and TLS in"),
    ],
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
        ("", {"REDIS_URL": "unix:///run/redis.sock"}),
        ("", {"REDIS_URL": "redis+cluster://127.0.0.1:1,localhost:2"}),
        ("", {"REDIS_URL": "rediss+sentinel://:pw@s1.example,s2.example/jobs"}),
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
