"""One clock for both stores, so that a test moves time instead of waiting for it.

The product takes the server's time and cannot be told another. Here the scripts' text is changed on its
way to the server: where they ask for the time they read a key that the test writes.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import redis

from broker.redis.connection import RedisAddress
from broker.redis.link import Link, Opened
from broker.redis.redis_store import RedisStore
from broker.redis.scripts import Call, Script, Scripts, load_script

START_MS = 1_800_000_000_000


class Clock:
    """Milliseconds since 1970, as the stores see them."""

    def __init__(self) -> None:
        self.now = START_MS
        self._last_us = 0

    def __call__(self) -> int:
        return self.now

    def advance(self, ms: int) -> None:
        self.now += ms

    def next_us(self, stamps: int) -> int:
        """For a script that stamps so many things: later than whatever came before."""
        us = max(self.now * 1000, self._last_us + 1)
        self._last_us = us + stamps
        return us


def redis_store_with(clock: Clock, address: RedisAddress, namespace: str, **options: Any) -> RedisStore:
    """A Redis store whose time is `clock`."""

    class MovedLink(Link):
        def _open(self) -> Opened:
            opened = super()._open()
            if not isinstance(opened.scripts, MovedScripts):
                opened.client.set_response_callback("TIME", lambda *_, **__: divmod(clock.now * 1000, 10**6))
                opened = opened._replace(scripts=MovedScripts(clock, opened, self))
                self._opened = opened
            return opened

    with patch("broker.redis.redis_store.Link", MovedLink):
        return RedisStore(lambda: address, namespace, **options)


class MovedScripts(Scripts):
    """Tells the server the time before each script."""

    def __init__(self, clock: Clock, opened: Opened, link: Link) -> None:
        super().__init__(opened.wire, link.keys)
        self._clock = clock
        self._client: redis.Redis = opened.client
        self._told = 0
        self._time_key = f"{link.keys.namespace}:test-clock"

    def run_all(self, calls: Iterable[Call]) -> list[Any]:
        answers = []
        for call in calls:
            only_reads = load_script(call[0]).when_full == "reads"
            if not only_reads or self._told != self._clock.now:
                self._client.set(self._time_key, self._clock.next_us(_stamps(call)), px=600_000)
                self._told = self._clock.now
            answers += super().run_all([call])
        return answers

    def _load(self, script: Script) -> str:
        return super()._load(replace(script, body=with_time_from(self._time_key, script.body)))


def _stamps(call: Call) -> int:
    """How many places in line a script may give away, each a microsecond behind the other."""
    verb, argv, _ = call
    return len(argv) // 3 + 1 if verb == "enqueue" else len(argv) + 1


#: In one line, so that an error in a script names the line that its file has. Redis 6.2 knows no `ms-*`.
NEXT_ID = (
    "local ids = 0; local function next_id() local us = GIVEN; ids = ids + 1; "
    "return string.format('%.0f-%.0f', math.floor(us / 1000), us % 1000 * 1000 + ids) end"
)


def with_time_from(key: str, body: str) -> str:
    """A script's text that reads microseconds from a key, and numbers stream entries by them."""
    given = f"tonumber(redis.call('GET', '{key}'))"
    told = f"{{ math.floor({given} / 1000000), {given} % 1000000 }}"
    body = body.replace("redis.call('TIME')", told)
    body, entries = re.subn(r"(redis\.call\('XADD', [^,]+), '\*'", r"\1, next_id()", body)
    if entries:
        body = f"{NEXT_ID.replace('GIVEN', given)}\n{body}"
    for other_way in ("'TIME'", "'*'"):
        assert other_way not in body, "a script takes its time in another way"
    return body
