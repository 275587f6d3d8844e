"""Actors with steps, whose provider is the test: `dramatiq tests.middleware.stepping` serves them."""

import json
import os
from typing import Any
from urllib.request import Request, urlopen

from actors.declare import actor
from middleware.job_log import job_log
from middleware.steps import effect, step

PROVIDER = os.environ.get("PROVIDER", "")


def _ask(path: str, **told: Any) -> Any:
    request = Request(f"{PROVIDER}/{path}", json.dumps({**told, "pid": os.getpid()}).encode(), method="POST")
    with urlopen(request, timeout=20) as reply:
        return json.load(reply)


def declare() -> Any:
    """Declare the actor on the application of the moment."""

    @actor(backoff={"type": "fixed", "delay": 10})
    def order(amount: int) -> dict[str, Any]:
        job_log.info("an order", amount=amount)
        place = step("reserve", _ask, "reserve")
        receipt = effect(
            "charge",
            {"key": "order-7", "amount": amount},
            lambda intent: _ask("charge", **intent),
            lambda intent: _ask("charged", key=intent["key"]),
        )
        return {"place": place, "receipt": receipt}

    return order


if "dramatiq.cli" in __import__("sys").modules:
    import actors  # noqa: F401  sets the broker

    declare()
