"""The scripts of `broker/lua`: complete headers, declared keys, arguments as their headers say."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
import redis

from broker.keys import PERMANENT
from broker.redis_store import RedisStore
from broker.scripts import FLAGS, HEADER_FIELDS, LUA, Script, all_scripts, load_script
from jobs.model import FetchRequest, NewJob, Outcome, Retention, Verdict, WorkerInfo
from jobs.states import JobState

SCRIPTS = {script.name: script for script in all_scripts()}
QUEUE = "reports"


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=lambda script: script.name)
def test_every_script_loads_with_and_without_flags(script: Script, client: "redis.Redis") -> None:
    for flags in (True, False):
        assert client.script_load(script.source(flags=flags))


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=lambda script: script.name)
def test_every_header_is_a_complete_contract(script: Script) -> None:
    text = (LUA / f"{script.name}.lua").read_text()
    header = dict(re.findall(r"^-- ([A-Z]+):[ \t]*(.*)$", text, flags=re.MULTILINE))
    assert set(header) == set(HEADER_FIELDS)
    assert all(header[field] for field in ("PURPOSE", "KEYS", "RETURNS", "EVENTS"))
    assert header["OOM"] in ("allowed", "refused", "reads")
    assert set(script.keys) <= set(PERMANENT), "a key that is not in keys.PERMANENT"
    assert script.rest_of_keys in (None, "wake", "set")


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=lambda script: script.name)
def test_every_key_and_argument_that_a_header_names_is_used(script: Script) -> None:
    code = code_of(script)
    for name in (*script.keys, *script.argv):
        assert re.search(rf"\b{name}\b", code), f"{name} is declared and never used"
    for rest in filter(None, (script.rest_of_keys, script.rest_of_argv)):
        assert f"first_{rest}" in script.body


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=lambda script: script.name)
def test_every_key_that_a_script_touches_is_declared(script: Script) -> None:
    touched = set(re.findall(r"redis\.call\('[A-Z]+', (\w+)\b", code_of(script)))
    local = set(re.findall(r"local (?:function \w+\()?(\w+)", code_of(script)))
    assert touched & set(PERMANENT) - local <= set(script.keys)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=lambda script: script.name)
def test_no_script_builds_the_name_of_a_key_or_scans_all(script: Script) -> None:
    for called in re.findall(r"redis\.call\('([A-Z]+)'(?:, *([^,)]+))?", script.body):
        command, first = called
        assert command not in ("KEYS", "SCAN", "HGETALL", "SMEMBERS", "FLUSHDB")
        assert ".." not in first, f"{command} {first} is put together inside the script"


def test_only_enqueue_is_refused_by_a_full_server() -> None:
    assert [name for name, script in SCRIPTS.items() if script.when_full == "refused"] == ["enqueue"]
    assert SCRIPTS["settle"].source(flags=True).startswith(FLAGS["allowed"])


def test_scripts_that_only_read_say_so() -> None:
    readers = [name for name, script in SCRIPTS.items() if script.when_full == "reads"]
    assert sorted(readers) == ["get", "list", "stats"]
    for name in readers:
        assert SCRIPTS[name].source(flags=True).startswith(FLAGS["reads"])
        assert "PERSIST" not in SCRIPTS[name].source(flags=False)


def test_a_header_that_lacks_something_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half.lua").write_text("-- PURPOSE: none\n-- KEYS: meta\nreturn 1\n")
    monkeypatch.setattr("broker.scripts.LUA", tmp_path)
    with pytest.raises(ValueError, match=r"half\.lua: the header lacks ARGV, RETURNS, EVENTS, OOM, INCLUDE"):
        load_script("half")


def test_every_verb_passes_the_arguments_that_its_header_names(
    store: RedisStore, spied: list[tuple[str, int, int]]
) -> None:
    every_verb(store)

    seen = {name for name, _, _ in spied}
    assert seen == set(SCRIPTS), "a script that no verb of the store runs"
    for name, keys, argv in spied:
        script = SCRIPTS[name]
        assert keys == len(script.keys) or (script.rest_of_keys and keys >= len(script.keys)), name
        assert argv == len(script.argv) or (script.rest_of_argv and argv >= len(script.argv)), name


def test_a_server_that_forgot_the_scripts_is_taught_again(store: RedisStore, client: "redis.Redis") -> None:
    store.enqueue([NewJob("one", QUEUE, "report", b"{}"), NewJob("two", QUEUE, "report", b"{}")])
    (job,) = store.fetch(FetchRequest("w", "t1", 1, {QUEUE: (1, None)})).jobs

    client.script_flush()

    assert store.stats([QUEUE])[0].waiting == 1
    client.script_flush()
    settled, fetched = store.settle_and_fetch(
        [Verdict("one", job.token, Outcome.COMPLETED)], FetchRequest("w", "t2", 1, {QUEUE: (1, None)})
    )
    assert (len(settled), [job.id for job in fetched.jobs]) == (1, ["two"])


def code_of(script: Script) -> str:
    """Without comments and the lines that bind names to KEYS and ARGV."""
    lines = (line.partition("--")[0] for line in script.body.splitlines())
    return "\n".join(line for line in lines if not re.match(r"local \w+ = (KEYS|ARGV)\[", line))


@pytest.fixture
def spied(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Name, number of keys and number of arguments of each script call that the store sends."""
    store.ping()
    scripts = store._open().scripts
    calls: list[tuple[str, int, int]] = []
    command = scripts._command

    def spy(name: str, argv: Sequence[Any], more_keys: Sequence[str]) -> Any:
        sent = command(name, argv, more_keys)
        keys = int(sent[2])
        calls.append((name, keys, len(sent) - 3 - keys))
        return sent

    monkeypatch.setattr(scripts, "_command", spy)
    return calls


def every_verb(store: RedisStore) -> None:
    """Call each verb of the port, so that each does something."""
    store.register(WorkerInfo("w", "host", 1, "0.1.0", 2, (QUEUE,), started_at=0), 15_000)
    store.register(WorkerInfo("dead", "host", 2, "0.1.0", 2, (QUEUE,), started_at=0), 0)
    store.enqueue([NewJob(str(n), QUEUE, "report", b"{}") for n in range(4)])
    first, second = store.fetch(FetchRequest("w", "t1", 2, {QUEUE: (2, None)})).jobs
    store.report_progress({first.id: b"{}"})
    store.settle("w", [Verdict(first.id, first.token, Outcome.COMPLETED)])
    store.settle_and_fetch(
        [Verdict(second.id, second.token, Outcome.FAILED, dead_letter="dead-letter")],
        FetchRequest("w", "t2", 1, {QUEUE: (1, None)}),
    )
    assert store.owned("w") == {"2": 1}
    store.renew("w", 15_000)
    store.reclaim(3)
    store.leave("w")
    store.wake([QUEUE])
    assert store.get(first.id) is not None
    assert len(store.list_jobs(QUEUE, JobState.COMPLETED)) == 1
    assert store.stats([QUEUE])[0].waiting == 2
    batch = store.read_events("audit", "me")
    store.ack_events("audit", [event.id for event in batch.events])
    assert store.trim({QUEUE: Retention(0, 0)}) == 2
    assert store.flush(QUEUE) == 2
