"""A job keeps its gate and its unique name, so an edit may not change what they are made of.

The gate decides which limit it waits for, the unique name which other jobs it stands for: with those of its
old arguments an edited job would spend one account's permit on another, and new jobs would be taken for it.
"""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from broker.options import JobOptions
from jobs.errors import InvalidPayload
from jobs.model import Job

if TYPE_CHECKING:
    import dramatiq

    from actors.composition import App


def check_names_stay(
    app: "App",
    job: Job,
    message: "dramatiq.Message[Any]",
    given: Mapping[str, Any],
    changed: Mapping[str, Any],
) -> None:
    """Raise InvalidPayload when the `changed` arguments would give the job another gate or unique name."""
    actor = app.broker.actors[message.actor_name]
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(actor.fn).parameters.items()
        if parameter.default is not parameter.empty
    }
    before, after = defaults | dict(given), defaults | dict(changed)
    if _gate(actor, before) == job.gate != _gate(actor, after):
        raise InvalidPayload(
            f"the gate of {actor.actor_name} is made of these arguments, and a job keeps its gate; "
            "discard it and send a new one"
        )
    if _unique(app, actor, job, message, before) != _unique(app, actor, job, message, after):
        raise InvalidPayload(
            f"the unique name of {actor.actor_name} is made of these arguments, and a job keeps its name; "
            "discard it and send a new one"
        )


def _gate(actor: "dramatiq.Actor[..., Any]", arguments: Mapping[str, Any]) -> str | None:
    """The gate that these arguments give; None where they give none."""
    from middleware.gates import template_of

    template = template_of(actor)
    if template is None:
        return None
    try:
        return template.of((), arguments)
    except InvalidPayload:
        return None


def _unique(
    app: "App",
    actor: "dramatiq.Actor[..., Any]",
    job: Job,
    message: "dramatiq.Message[Any]",
    arguments: Mapping[str, Any],
) -> str | None:
    """The unique name that these arguments give; None where they have no part in it."""
    rules = app.rules_of(job.queue)
    unique = JobOptions.declared(actor.options, rules).with_call(message.options).unique
    if unique is None or unique.key is not None:
        return None
    counted = {name: arguments.get(name) for name in unique.by} if unique.by else arguments
    return unique.of(actor.actor_name, lambda: counted, job.lane).key
