"""The scripts of `broker/redis/lua`: complete headers, declared keys, arguments as their headers say."""

import re
from collections.abc import Iterable
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from redis.exceptions import NoScriptError, ResponseError

from broker.redis.keys import PERMANENT
from broker.redis.redis_store import RedisStore
from broker.redis.scripts import FLAGS, HEADER_FIELDS, LUA, Call, Script, all_scripts, load_script
from jobs.errors import StoreUnavailable
from jobs.limits import Algorithm, BreakerTerms, By, LimitRule, News, Terms, Want, key_of
from jobs.model import (
    Cancelled,
    FetchRequest,
    LogChunk,
    NewJob,
    Outcome,
    Retention,
    Scope,
    Verdict,
    WorkerInfo,
)
from jobs.rules import QueueRules
from jobs.states import JobState

SCRIPTS = {script.name: script for script in all_scripts()}
QUEUE = "reports"


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=lambda script: script.name)
def test_every_script_loads_with_and_without_flags(script: Script, client: "redis.Redis") -> None:
    release = int(str(client.info("server")["redis_version"]).split(".")[0])
    for flags in (True, False) if release >= 7 else (False,):
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
def test_a_header_names_just_the_keys_that_the_script_can_touch(script: Script) -> None:
    touched = set(re.findall(r"(?<![.\w'])\w+", reachable(script))) & set(PERMANENT)
    assert touched == set(script.keys)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=lambda script: script.name)
def test_every_argument_that_a_header_names_is_used(script: Script) -> None:
    for name in script.argv:
        assert re.search(rf"\b{name}\b", reachable(script)), f"{name} is declared and never used"
    for rest in filter(None, (script.rest_of_keys, script.rest_of_argv)):
        assert f"first_{rest}" in code_of(script.parts[-1])


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=lambda script: script.name)
def test_every_include_of_a_script_is_needed(script: Script) -> None:
    code = reachable(script)
    names = re.findall(r"^-- INCLUDE:(.*)$", script.parts[-1], flags=re.MULTILINE)[0].split(",")
    for name, part in zip(filter(None, map(str.strip, names)), script.parts[:-1], strict=True):
        offered = set(re.findall(r"^local (?:function )?(\w+)", part, flags=re.MULTILINE)) | {"now_us"}
        fields = name == "record" and re.search(r"\[[A-Z_]+\]", code_of(script.parts[-1]))
        uses = [o for o in offered if len(re.findall(rf"\b{o}\b", code)) > 1]
        assert uses or fields, f"{name} is included for nothing"


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
    assert sorted(readers) == [
        "ages",
        "cached",
        "get",
        "lane_names",
        "lanes",
        "limit_states",
        "list",
        "list_active",
        "logs",
        "owned",
        "process_rules",
        "provider_states",
        "scan",
        "scan_active",
        "scan_all",
        "standing",
        "stats",
        "steps",
    ]
    for name in readers:
        assert SCRIPTS[name].source(flags=True).startswith(FLAGS["reads"])
        assert "PERSIST" not in SCRIPTS[name].source(flags=False)


def test_a_header_that_lacks_something_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half.lua").write_text("-- PURPOSE: none\n-- KEYS: meta\nreturn 1\n")
    monkeypatch.setattr("broker.redis.scripts.LUA", tmp_path)
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
    (job,) = store.fetch(FetchRequest("w", "t1", 1, {QUEUE: 1})).jobs

    client.script_flush()

    assert store.stats([QUEUE])[0].waiting == 1
    client.script_flush()
    settled, fetched = store.settle_and_fetch(
        [Verdict("one", job.token, Outcome.COMPLETED)], FetchRequest("w", "t2", 1, {QUEUE: 1})
    )
    assert (len(settled), [job.id for job in fetched.jobs]) == (1, ["two"])


def code_of(text: str) -> str:
    """Without comments, and without texts in quotes."""
    lines = (line.partition("--")[0] for line in text.splitlines())
    return re.sub(r"'(?:[^'\\]|\\.)*'", "''", "\n".join(lines))


@cache
def reachable(script: Script) -> str:
    """The script, what its includes do outside of functions, and the functions that are ever called."""
    whole = r"^local function (\w+)(?:[^\n]* end$|.*?^end$)"
    functions: dict[str, str] = {}
    outside = [code_of(script.parts[-1])]
    for part in map(code_of, script.parts[:-1]):
        for found in re.finditer(whole, part, flags=re.MULTILINE | re.DOTALL):
            functions[found[1]] = found[0]
        outside.append(re.sub(whole, "", part, flags=re.MULTILINE | re.DOTALL))
    code, waiting = "\n".join(outside), set(functions)
    while called := {name for name in waiting if re.search(rf"\b{name}\b", code)}:
        code += "\n".join(functions[name] for name in called)
        waiting -= called
    return code


@pytest.fixture
def spied(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Name, number of keys and number of arguments of each script call that the store sends."""
    store.ping()
    scripts = store._link._open().scripts
    calls: list[tuple[str, int, int]] = []
    command = scripts._command

    def spy(call: Call) -> bytes:
        sent, (name, _, more_keys) = command(call), call
        words = re.findall(rb"\$\d+\r\n", sent)  # the payloads of this test hold nothing of the kind
        keys = len(SCRIPTS[name].keys) + len(more_keys)
        calls.append((name, keys, len(words) - 3 - keys))
        return sent

    monkeypatch.setattr(scripts, "_command", spy)
    return calls


def every_verb(store: RedisStore) -> None:
    """Call each verb of the port, so that each does something."""
    store.register(WorkerInfo("w", "host", 1, "0.1.0", 2, (QUEUE,), started_at=0), 15_000)
    store.register(WorkerInfo("dead", "host", 2, "0.1.0", 2, (QUEUE,), started_at=0), 0)
    store.enqueue([NewJob(str(n), QUEUE, "report", b"{}") for n in range(4)])
    first, second = store.fetch(FetchRequest("w", "t1", 2, {QUEUE: 2})).jobs
    store.report_progress("w", {first.id: (first.token, b"{}")})
    assert store.save_step("w", first.id, first.token, "fetched", b"{}")
    assert store.steps(first.id) == {"fetched": b"{}"}
    store.add_log("w", [LogChunk(first.id, first.token, 1, 0, 1, b"{}")])
    assert len(store.logs(first.id)) == 1
    store.settle("w", [Verdict(first.id, first.token, Outcome.COMPLETED)])
    store.settle_and_fetch(
        [Verdict(second.id, second.token, Outcome.FAILED, dead_letter="dead-letter")],
        FetchRequest("w", "t2", 1, {QUEUE: 1}),
    )
    assert store.owned("w") == {"2": 1}
    assert store.cached(QUEUE, "key") is None
    assert store.clear_cache("key") == 0
    assert store.open_group("group", 1, 1)
    assert store.arrive("group", first.id)
    store.renew("w", 15_000)
    store.reclaim(3)
    store.offer([QUEUE])
    store.replace_payload("3", b"{}", b"[]")
    want = Want(key_of("mail", "acme"), "mail", Algorithm.CONCURRENCY, Terms(1), tenant="acme")
    assert store.acquire("w", "2", 1, [want], queue=QUEUE, request=1).granted
    store.give_back("2", 1, 1, queue=QUEUE)
    store.leave("w")
    store.set_limit("mail", "acme", {"limit": 2})
    rule = LimitRule("mail", By.TENANT, Algorithm.CONCURRENCY, Terms(1))
    assert [state.left for state in store.limit_states([rule])] == [2]
    store.provider_news("gmail", News.FAILED, BreakerTerms(), queue=QUEUE)
    assert [state.state for state in store.provider_states(["gmail"])] == ["closed"]
    store.configure({QUEUE: QueueRules()}, {"acme": 2.0})
    store.adjust(Scope(QUEUE), {"cap": 4, "concurrency": 3})
    assert store.process_rules([QUEUE]) == {QUEUE: {"concurrency": 3}}
    store.rest(Scope(QUEUE, "acme"), 1_000, "because")
    store.wake(Scope(QUEUE, "acme"))
    assert store.promote(["3"]) == [False]
    assert store.set_priority(["3"], 1) == [True]
    assert store.standing("3") is not None
    assert store.retry_dead([second.id]) == [True]
    assert store.cancel([second.id]) == [Cancelled.DONE]
    assert store.withdraw([second.id]) == [False]
    assert store.remove([second.id]) == [True]
    assert len(store.scan(QUEUE, JobState.WAITING)[0]) == 2
    assert len(store.scan_all()[0]) >= 2
    assert store.scan(QUEUE, JobState.ACTIVE) == ([], None)
    assert store.clean(QUEUE, JobState.WAITING, keep=2) == 0
    assert len(store.list_jobs(QUEUE, JobState.ACTIVE)) == 0
    assert len(store.lanes(QUEUE)) == 1
    assert store.get(first.id) is not None
    assert len(store.list_jobs(QUEUE, JobState.COMPLETED)) == 1
    assert store.stats([QUEUE])[0].waiting == 2
    batch = store.read_events("audit", "me")
    store.ack_events("audit", [event.id for event in batch.events])
    assert store.trim({QUEUE: Retention(0, 0)}) == 1
    assert store.drain(QUEUE) == 2
    assert store.obliterate(QUEUE) == 0


def test_a_busy_server_is_said_to_be_busy(store: RedisStore, client: "redis.Redis") -> None:
    """A script that cannot be loaded now is no script that is wrong: who waits for the store waits on."""
    store.ping()

    def busy(commands: Iterable[bytes]) -> list[object]:
        if b"EVALSHA" in next(iter(commands)):
            raise NoScriptError("NOSCRIPT No matching script.")
        raise ResponseError("BUSY Redis is busy running a script. You can only call SCRIPT KILL.")

    opened = store._link._open()
    opened.scripts._flags = True
    opened.scripts._wire = SimpleNamespace(call=busy)  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable, match="answered: BUSY Redis is busy"):
        store.owned("w")


def test_a_script_that_is_no_lua_is_named(
    store: RedisStore, client: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.redis.scripts.Script.source", lambda self, flags: "return return")
    with pytest.raises(ValueError, match=r"lua/owned\.lua does not load: .*compiling"):
        store.owned("w")


def test_a_thread_that_empties_what_is_prepared_disturbs_no_other(store: RedisStore) -> None:
    class Emptied(dict[Any, Any]):
        def __setitem__(self, name: Any, prepared: Any) -> None:
            """What another thread does at this moment when the server has lost the scripts."""

    store._link._open().scripts._prepared = Emptied()
    assert store.owned("w") == {}


def test_a_server_that_lost_its_scripts_is_asked_anew_which_release_it_is(
    store: RedisStore, client: "redis.Redis"
) -> None:
    """It may have been replaced by an older one, which takes no flags."""
    store.owned("w")
    scripts = store._link._open().scripts
    scripts._flags = None if scripts._flags is None else not scripts._flags
    wrong = scripts._flags
    client.script_flush()
    store.owned("w")
    assert scripts._flags is not wrong
