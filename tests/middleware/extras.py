"""Middleware of a user's own, named by dotted path in `middleware.extra`."""

from typing import Any, ClassVar

import dramatiq
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import StubBackend

from middleware.stack import Ports


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


class Rules(dramatiq.Middleware):
    """Takes what the places of the stack are made of."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports


class Breaking(dramatiq.Middleware):
    def __init__(self) -> None:
        raise LookupError("no licence")


class Groups(GroupCallbacks):
    """Dramatiq's, with a backend for its barriers."""

    def __init__(self) -> None:
        super().__init__(StubBackend())  # type: ignore[no-untyped-call]
