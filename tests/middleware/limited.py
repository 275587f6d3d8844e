"""Actors under limits, which note on the server, by its clock, when they run. `dramatiq
tests.middleware.limited` serves them."""

import os
import time
from typing import Any

import redis

from actors.declare import actor
from middleware.limits import limit

#: Begins, and ends, of runs.
NOTE = "local t = redis.call('TIME'); redis.call('RPUSH', KEYS[1], t[1] * 1000000 + t[2]); return 1"


def declare() -> dict[str, Any]:
    """Declare them on the application of the moment; gives them by name."""
    client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:1"))
    space = os.environ.get("CALLBOARD_REDIS__NAMESPACE", "")
    note = client.register_script(NOTE)

    def begin(name: str) -> None:
        note(keys=[f"{space}:noted:{name}"])
        client.expire(f"{space}:noted:{name}", 600)

    def run(name: str, tenant: str) -> None:
        begin(f"{name}:{tenant}")

    @actor
    def fixed(tenant: str) -> None:
        run("fixed", tenant)

    @actor
    def sliding(tenant: str) -> None:
        run("sliding", tenant)

    @actor
    def bucket(tenant: str) -> None:
        run("bucket", tenant)

    @actor
    def gcra(tenant: str) -> None:
        run("gcra", tenant)

    @actor
    def several(tenant: str) -> None:
        begin(f"several:{tenant}")
        time.sleep(0.02)
        begin(f"several-ended:{tenant}")

    @actor
    def account(name: str) -> None:
        with limit(f"gmail:{name}"):
            begin(f"account:{name}")
            time.sleep(30)

    actors = (fixed, sliding, bucket, gcra, several, account)
    return {one.actor_name: one for one in actors}


if "dramatiq.cli" in __import__("sys").modules:
    import actors  # noqa: F401  sets the broker

    declare()
