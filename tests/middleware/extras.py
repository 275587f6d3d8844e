"""Middleware of a user's own, named by dotted path in `middleware.extra`."""

from typing import Any, ClassVar

import dramatiq


class Noting(dramatiq.Middleware):
    """Writes down what it hears."""

    heard: ClassVar[list[str]] = []

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        self.heard.append(f"before {message.actor_name}")


class NeedsArguments(dramatiq.Middleware):
    def __init__(self, url: str) -> None:
        self.url = url


class NoMiddleware:
    pass
