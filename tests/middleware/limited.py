"""Actors under limits, which note on the server when they run. `dramatiq tests.middleware.limited` serves
them. The server and the workers are on one machine, so they have one clock."""

import os
import threading
import time
from collections import deque
from typing import Any

import redis

from actors.declare import actor
from middleware.limits import limit

#: How often notes are sent, in seconds: not by the jobs, which would measure that too.
EVERY_S = 0.05
#: How long the short jobs under a concurrency limit take, in seconds, and those that are as long as a
#: provider's answer.
SHORT_S, CALL_S = 0.05, 0.4


class Notes:
    """Of one process: what happened, and when."""

    def __init__(self) -> None:
        self._client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:1"))
        self._space = os.environ.get("CALLBOARD_REDIS__NAMESPACE", "")
        self._made: deque[tuple[str, float]] = deque()
        self._sender: threading.Thread | None = None

    def note(self, name: str) -> None:
        self._made.append((name, time.time()))
        if self._sender is None:
            self._sender = threading.Thread(target=self._send_all, daemon=True)
            self._sender.start()

    def _send_all(self) -> None:
        while True:
            with self._client.pipeline(transaction=False) as pipeline:
                while self._made:
                    name, at = self._made.popleft()
                    pipeline.rpush(f"{self._space}:noted:{name}", repr(at))
                    pipeline.expire(f"{self._space}:noted:{name}", 600)
                pipeline.execute()
            threading.Event().wait(EVERY_S)


def declare() -> dict[str, Any]:
    """Declare them on the application of the moment; gives them by name."""
    note = Notes().note

    @actor
    def fixed(tenant: str) -> None:
        note(f"fixed:{tenant}")

    @actor
    def sliding(tenant: str) -> None:
        note(f"sliding:{tenant}")

    @actor
    def bucket(tenant: str) -> None:
        note(f"bucket:{tenant}")

    @actor
    def gcra(tenant: str) -> None:
        note(f"gcra:{tenant}")

    @actor
    def several(tenant: str) -> None:
        note(f"several:{tenant}")
        time.sleep(SHORT_S)
        note(f"several-ended:{tenant}")

    def call(kind: str, tenant: str) -> None:
        note(f"{kind}:{tenant}")
        time.sleep(CALL_S)
        note(f"{kind}-ended:{tenant}")

    @actor
    def calls(tenant: str) -> None:
        call("calls", tenant)

    @actor
    def inside(tenant: str) -> None:
        with limit("outlook:one"):
            call("inside", tenant)

    @actor
    def capped(tenant: str) -> None:
        call("capped", tenant)

    @actor
    def account(name: str) -> None:
        with limit(f"gmail:{name}"):
            note(f"account:{name}")
            time.sleep(30)

    actors = (fixed, sliding, bucket, gcra, several, calls, inside, capped, account)
    return {one.actor_name: one for one in actors}


if "dramatiq.cli" in __import__("sys").modules:
    import actors  # noqa: F401  sets the broker

    declare()
