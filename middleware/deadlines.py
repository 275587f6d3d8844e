"""The time that a whole job has: `deadline` for all of it, `expires` for its first start.

Both are milliseconds from its acceptance, or a moment in milliseconds since 1970 (numbers from 10^12 on), on
the store's clock. Nothing starts after the deadline, and what runs then is ended. A job that is too late
becomes a dead letter with the code `expired` or `deadline` and has spent no attempt.
"""

import time
from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.threading import Interrupt

from jobs.errors import JobExpired
from jobs.model import FIRST_MOMENT_MS
from middleware.codes import DEADLINE, EXPIRED
from middleware.delivery import Delivery, delivery


class DeadlineExceeded(Interrupt):
    """The job's deadline came while it ran. It is not tried again."""

    def __init__(self, message: str = "the job's deadline came while it ran") -> None:
        super().__init__(message)


class Deadlines(dramatiq.Middleware):
    """Costs a job without such an option two looks into a dictionary."""

    def __init__(self) -> None:
        self._declared: dict[str, dict[str, Any]] = {}  # options of the actors that give one

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        self._declared.pop(actor.actor_name, None)
        if actor.options.get("deadline") or actor.options.get("expires"):
            self._declared[actor.actor_name] = actor.options

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        options = message.options
        if "deadline" in options or "expires" in options or message.actor_name in self._declared:
            self._check(delivery(message), self._declared.get(message.actor_name) or {})

    def _check(self, run: Delivery, declared: dict[str, Any]) -> None:
        now = store_now(run)
        deadline = moment_of("deadline", run, declared)
        if deadline is not None:
            if now >= deadline:
                raise JobExpired("its deadline was over before it could start", DEADLINE)
            run.deadline_at = time.monotonic() + (deadline - now) / 1000
        expires = moment_of("expires", run, declared)
        # A retry has started in time, once, and so has what was held or cut short in its run.
        if expires is not None and now >= expires and run.job.attempt == 1 and not run.job.begun:
            raise JobExpired("it was not started in the time that it had for that", EXPIRED)


def store_now(run: Delivery) -> int:
    """This moment on the store's clock: since it gave the job out, ours has gone on."""
    since = time.monotonic() - run.started if run.started else 0.0
    return run.job.started_at + round(since * 1000)


def moment_of(name: str, run: Delivery, declared: dict[str, Any]) -> int | None:
    """A time of a job in ms since 1970, by its call or its actor; None without one. A call's 0 means none."""
    given = run.options.get(name)
    if given is None:
        given = declared.get(name)
    if not given:
        return None
    return int(given) if given >= FIRST_MOMENT_MS else run.job.created_at + int(given)
