"""Actors that quote what they should not. `dramatiq tests.middleware.planted` serves them."""

import logging
import os
from typing import Any

from actors.declare import actor

#: Known to no argument, so only a dump of local variables could show it.
IN_LOCALS = "locals-" + os.environ.get("PLANTED", "here")


def declare() -> Any:
    """Declare them on the application of the moment; gives them by name."""

    @actor(attempts=2, backoff={"type": "fixed", "delay": 10})
    def leaky(token: str, profile: dict[str, str]) -> None:
        try:
            _look_up(profile)
        except LookupError as error:
            logging.getLogger("an.actor").exception("it could not look up")
            raise RuntimeError(f"cannot use {token!r} for {profile}") from error

    @actor(attempts=2, backoff={"type": "fixed", "delay": 10})
    def shaky(name: str) -> None:
        from middleware.current import current_job

        job = current_job()
        logging.getLogger("an.actor").info("looking")
        if job is not None and job.attempt == 1:
            raise ConnectionError("not yet")

    @actor
    def parent(name: str) -> None:
        shaky.send(name)

    return {"leaky": leaky, "shaky": shaky, "parent": parent}


def _look_up(profile: dict[str, str]) -> None:
    kept = IN_LOCALS
    raise LookupError(f"nobody is {profile['mail']} of {len(kept)}")


if "dramatiq.cli" in __import__("sys").modules:
    import actors  # noqa: F401  sets the broker

    declare()
