"""What a person meets who misspells a key or writes a value that cannot be."""

from pathlib import Path

import pytest

from settings import Settings, SettingsError, check_queues, describe, load_settings

TYPOS = [
    ("apy = 1", "Unknown key apy in callboard.toml: did you mean api?"),
    ("[api]\nprot = 1", "Unknown key api.prot in callboard.toml: did you mean api.port?"),
    (
        "[queues.email-sync]\nconcurency = 1",
        (
            "Unknown key queues.email-sync.concurency in callboard.toml: did you mean "
            "queues.email-sync.concurrency?"
        ),
    ),
    (
        "[queues.email-sync.backoff]\ndelay = 1",
        (
            "Unknown key queues.email-sync.backoff.delay in callboard.toml: "
            "did you mean queues.email-sync.backoff.delay_ms?"
        ),
    ),
    (
        "[queues.email_sync]\nconcurrency = 1",
        "Unknown queue queues.email_sync in callboard.toml: did you mean queues.email-sync?",
    ),
    (
        "[mailboxes.a]\nuser = 'x'",
        "Unknown key mailboxes.a.user in callboard.toml: did you mean mailboxes.a.username?",
    ),
]


@pytest.mark.parametrize(("toml", "sentence"), TYPOS)
def test_a_misspelt_key_in_the_file_is_refused_at_every_depth_with_the_nearest(refused, toml, sentence):
    assert refused(toml) == sentence


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("CALLBOARD_CONFG", "CALLBOARD_CONFIG"),
        ("CALLBOARD_HOM", "CALLBOARD_HOME"),
        ("CALLBOARD_API_PORT", "CALLBOARD_API__PORT"),
        ("CALLBOARD_API__PROT", "CALLBOARD_API__PORT"),
        ("CALLBOARD_QUEUES__EMAIL_SYNC__CONCURENCY", "CALLBOARD_QUEUES__EMAIL_SYNC__CONCURRENCY"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest(refused, variable, meant):
    assert refused(**{variable: "1"}) == f"Unknown environment variable {variable}: did you mean {meant}?"


def test_a_misspelt_variable_is_refused_even_when_it_is_empty(refused):
    assert "CALLBOARD_HOME" in refused(CALLBOARD_HOM="")


def test_a_key_that_is_near_nothing_is_answered_with_the_keys_there_are(refused):
    assert refused("[payload]\nzzzz = 1").endswith("known here: payload.max_bytes.")


def test_a_variable_that_names_a_section_is_answered_with_one_of_its_keys(refused):
    assert refused(CALLBOARD_API="x").endswith("set one of its keys, such as CALLBOARD_API__HOST.")


VALUES = [
    ("[api]\nport = 'abc'", "api.port must be a whole number, not 'abc' (callboard.toml)."),
    ("[api]\nport = 70000", "api.port must be at most 65535, not 70000 (callboard.toml)."),
    ("[api]\ndocs = 'perhaps'", "api.docs must be true or false, not 'perhaps' (callboard.toml)."),
    ("api = 3", "api is a section; set its keys (host, port, docs …), not one value (callboard.toml)."),
    ("queues = 3", "queues is a table; give it entries by name, not one value (callboard.toml)."),
    ("queues.x.attempts = true", "queues.x.attempts must be a number, not True (callboard.toml)."),
    ("queues.x.attempts = 0", "queues.x.attempts must be at least 1, not 0 (callboard.toml)."),
    ("queues.x.priority = 11", "queues.x.priority must be at most 10, not 11 (callboard.toml)."),
    (
        "queues.x.rate = '10 per s'",
        (
            'queues.x.rate must be a rate such as "10/s", "100/min" or "none", '
            "not '10 per s' (callboard.toml)."
        ),
    ),
    (
        "queues.x.timeout_ms = '5 parsecs'",
        (
            'queues.x.timeout_ms must be a duration such as "5s", "2min" or "30 days" '
            "(a bare number is in ms), not '5 parsecs' (callboard.toml)."
        ),
    ),
    ("queues.x.tenant_concurrency = 0", "queues.x.tenant_concurrency must be at least 1, not 0"),
    ("queues.x.gate_rate = 3", 'queues.x.gate_rate must be a rate such as "10/s"'),
    ("queues.x.fairness = 'count'", "queues.x.fairness must be one of 'jobs' or 'time', not 'count'"),
    ("queues.x.priority_scope = 'tenant'", "queues.x.priority_scope must be one of 'queue' or 'lane'"),
    ("queues.x.id_memory_ms = '1min'", "queues.x.id_memory_ms must be at least 120000, not '1min'"),
    ("queues.x.retention.failed_count = 0", "queues.x.retention.failed_count must be at least 1"),
    ("tenants.acme.weight = 0", "tenants.acme.weight must be at least 0.001, not 0"),
    ("tenants.acme.weight = 2000", "tenants.acme.weight must be at most 1000"),
    ("mailboxes.a.host = 'h'", "mailboxes.a.username is missing; add it (callboard.toml)."),
    (
        "[schedules.a]\nactor = 'x'\ncron = '* *'",
        "schedules.a.cron must be a cron of five fields such as \"0 9 * * 1-5\", not '* *' (callboard.toml).",
    ),
    (
        "[schedules.scheduled-sync]\ntimezone = 'Mars'",
        (
            'schedules.scheduled-sync.timezone must be a time zone such as "Europe/Berlin", '
            "not 'Mars' (callboard.toml)."
        ),
    ),
    (
        "[workers]\ntype = 'documents'",
        "workers.type names no worker group 'documents'; did you mean document?",
    ),
    ("[queues.'a b']\nattempts = 2", "queues.a b must begin with a letter"),
    ("allow_private_addresses = ['home']", "allow_private_addresses must be true, false or networks"),
    ("api.host = 'a/b'", "api.host must be a host name or an IP address alone"),
    ("redis.namespace = '{x}'", "redis.namespace must be 1 to 64 letters"),
    ("webhooks.a.url = 'ftp://x'\nwebhooks.a.secret = 's'", "webhooks.a.url must be a URL like https://"),
    ("database.url = 'mysql://h/d'", "database.url must be a URL like sqlite:"),
    ("a = = 1", "callboard.toml is not valid TOML: invalid value (at line 1, column 5)."),
]


@pytest.mark.parametrize(("toml", "sentence"), VALUES)
def test_a_value_that_cannot_be_is_answered_with_key_problem_mend_and_source(refused, toml, sentence):
    assert refused(toml).startswith(sentence)


def test_a_wrong_variable_is_named_as_the_source(refused):
    assert refused(WORKER_CONCURRENCY="0") == (
        "workers.threads must be at least 1, not '0' (environment WORKER_CONCURRENCY)."
    )
    assert refused(QUEUE_MAX_RETRIES="many") == "QUEUE_MAX_RETRIES must be a whole number from 0, not 'many'."
    assert "'exponential', 'fixed' or 'linear', not 'expo' (environment QUEUE_BACKOFF_STRATEGY)" in refused(
        QUEUE_BACKOFF_STRATEGY="expo"
    )


def test_encryption_is_on_off_or_left_to_the_marks_of_parameters(load):
    assert load("queues.email-sync.encryption = true").policy("email-sync").encryption is True
    assert load("queue_defaults.encryption = false").policy("email-sync").encryption is False
    assert load("").policy("email-sync").encryption is None


A_KEY = "cbk_" + "A" * 43


def test_keys_come_from_the_file_or_the_environment_and_are_never_shown(load):
    settings = load(CALLBOARD_KEYS__RING__1=A_KEY, CALLBOARD_KEYS__RING__2="ab" * 32)

    assert sorted(settings.keys.ring) == ["1", "2"]
    assert A_KEY not in repr(settings)
    assert A_KEY not in str(describe(settings))


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ('keys.ring.1 = "short"', "as `callboard keys new` makes them"),
        (f'keys.ring.0 = "{A_KEY}"', "whole numbers from 1 to 65535"),
        (f'keys.ring.first = "{A_KEY}"', "whole numbers from 1 to 65535"),
        (f'keys.current = 2\nkeys.ring.1 = "{A_KEY}"', "must have key 2 in ring"),
        ("keys.current = 1", "must have a ring"),
        (f'keys.file = "k.json"\nkeys.ring.1 = "{A_KEY}"', "ring or file, not both"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_without_being_quoted(refused, toml, sentence):
    said = refused(toml)

    assert sentence in said
    assert "short" not in said
    assert A_KEY not in said


@pytest.mark.parametrize("key", ["connect_timeout_ms", "command_timeout_ms"])
def test_a_redis_time_out_that_nothing_would_heed_is_refused(refused, key):
    assert f"redis.{key}" in refused(f"redis.{key} = '5s'")


def test_one_key_set_by_two_variables_of_different_depth_is_refused(refused):
    sentence = refused(CALLBOARD_ALIASES__BILLS="email_send", CALLBOARD_ALIASES__BILLS__RUN="email_sync")
    assert "set the same key twice" in sentence


def test_a_queue_of_a_share_cannot_have_a_number_of_its_own(refused, load):
    sentence = refused("queues.document-scan.concurrency = 2")
    assert sentence.startswith("queues.document-scan.concurrency must equal that of document-ocr")
    assert "(callboard.toml)" in sentence
    # The one that all are measured against is blamed on its source as well.
    assert "(environment CALLBOARD_QUEUES__DOCUMENT_OCR__RATE)" in refused(
        CALLBOARD_QUEUES__DOCUMENT_OCR__RATE="1/s"
    )

    alone = load("[queues.document-scan]\nconcurrency = 2\nshare = 'none'").policy("document-scan")
    assert (alone.concurrency, alone.share) == (2, None)


def test_queues_that_share_their_limits_are_counted_in_one_place(refused, load):
    apart = "redis.shards = { documents = ['document-scan'] }"
    assert refused(apart).startswith(
        "redis.shards must have document-ocr and document-scan together, because both share their limits"
    )
    assert load(f"{apart}\n[queues.document-scan]\nshare = 'none'")
    scheduled = "'scheduled-reports', 'scheduled-reminders', 'scheduled-sync'"
    assert load(f"redis.shards = {{ quiet = [{scheduled}], main = ['document-scan'] }}")


def test_a_named_file_that_is_not_there_is_refused_but_the_default_one_may_be_absent(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"^CALLBOARD_CONFIG names mine\.toml, which does not exist"):
        load_settings({"CALLBOARD_CONFIG": "mine.toml"}, tmp_path)
    assert load_settings({"CALLBOARD_CONFIG": ""}, tmp_path).api.port == 8642


def test_a_file_that_is_a_folder_or_not_text_is_refused_in_a_sentence(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.toml").write_bytes(b"home = '\xe4'")
    with pytest.raises(SettingsError, match=r"^folder cannot be read \(Is a directory\)"):
        load_settings({"CALLBOARD_CONFIG": "folder"}, tmp_path)
    with pytest.raises(SettingsError, match=r"^latin\.toml is not UTF-8 text"):
        load_settings({"CALLBOARD_CONFIG": "latin.toml"}, tmp_path)


def test_a_policy_for_a_queue_that_no_actor_has_is_found_once_the_actors_are_known(load):
    settings = load("queues.email-snyc.attempts = 2\nqueues.invoices.attempts = 2")
    with pytest.raises(SettingsError, match=r"^queues\.email-snyc .*did you mean email-sync\?$"):
        check_queues(settings, ["invoices"])
    check_queues(load("queues.invoices.attempts = 2"), ["invoices"])


SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    ("toml", "environ"),
    [
        (f"redis.pasword = '{SECRET}'", {}),
        (f"redis.port = '{SECRET}@'", {}),
        ("", {"REDIS_URL": f"http://u:{SECRET}@h"}),
        ("", {"REDIS_URL": f"redis://u:{SECRET}@[h"}),
        ("", {"REDIS_PORT": f"tcp://u:{SECRET}@h"}),
        ("", {"REDIS_HOST": f"u:{SECRET}@h"}),
        ("", {"REDIS_PASSWORD": SECRET}),
        ("", {"DATABASE_URL": f"mysql:u:{SECRET}@h"}),
        ("", {"CALLBOARD_ENV": "production", "REDIS_URL": f"redis://u:{SECRET}@cache.example"}),
        (f"webhooks.a.url = 'https://h'\nwebhooks.a.secret = '{SECRET}'", {}),
        (f"webhooks.a.url = 'https:u:{SECRET}'\nwebhooks.a.secret = 'whsec_{'A' * 20}'", {}),
        ("schedules.scheduled-sync.args = 5", {"CALLBOARD_SCHEDULES__SCHEDULED_SYNC__ARGS": SECRET}),
    ],
)
def test_no_refusal_ever_shows_a_secret(refused, toml, environ):
    assert SECRET not in refused(toml, **environ)


def test_settings_made_in_code_refuse_unknown_keys_too():
    with pytest.raises(ValueError, match="prot"):
        Settings.model_validate({"api": {"prot": 1}})


S3 = "[blobs]\nstore = 's3'\nbucket = 'acme-jobs'\n"


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ("[blobs]\nstore = 's3'", "bucket must be given"),
        (S3 + "access_key = 'AKIA'", "access_key and secret_key must be given together"),
        (S3 + "endpoint = 'http://storage.example.com'", "must begin with https://"),
        (S3 + "endpoint = 'https://me:secret@storage.example.com'", "must be an address such as"),
        (S3 + "prefix = 'a b'", "blobs.prefix"),
    ],
)
def test_a_bucket_without_what_it_needs_or_with_arguments_in_clear_is_refused(refused, toml, reason):
    assert reason in refused(toml)


def test_a_bucket_on_this_machine_may_be_reached_in_clear(tmp_path: Path) -> None:
    (tmp_path / "callboard.toml").write_text(S3 + "endpoint = 'http://127.0.0.1:9000'")
    assert load_settings({}, tmp_path).blobs.endpoint == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    "dsn",
    [
        "s3cr3t",
        "https://s3cr3t",
        "https://host.example/1",
        "ftp://s3cr3t@host.example/1",
        "https://s3cr3t@host.example/a",
    ],
)
def test_a_dsn_that_is_none_is_refused_without_showing_it(refused, dsn: str) -> None:
    said = refused(SENTRY_DSN=dsn)
    assert said.startswith("sentry.dsn must be a DSN as Sentry shows it: https://KEY@HOST/NUMBER")
    assert "s3cr3t" not in said


def test_a_dsn_of_a_sentry_under_a_path_is_taken(load) -> None:
    settings = load("", SENTRY_DSN="https://key@host.example:8443/sentry/7")
    assert settings.sentry.dsn is not None
