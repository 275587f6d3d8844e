"""From the names a caller uses to our actors, queues and parameters."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import dramatiq

from jobs.errors import InvalidPayload, UnknownActor, UnknownQueue
from jobs.ids import check_stored_id
from settings import UnknownName, queues_behind, resolve_name

if TYPE_CHECKING:
    from actors.composition import App


LONGEST_QUEUE = 128
Actor = dramatiq.Actor[..., Any]


def find_actor(app: "App", queue: str | None, name: str | None) -> Actor:
    """The actor that a queue, an actor's name or a document's alias means.

    Raises UnknownQueue or UnknownActor with the nearest name, or with the choices when several fit.
    """
    asked = queue if queue is not None else name
    if asked is None:
        raise InvalidPayload("queue: give the name of a queue, or an actor as 'name'")
    job_name = name if queue is not None else None
    actors = app.broker.actors
    here = [actor for actor in actors.values() if asked in (actor.queue_name, actor.actor_name)]
    if len(here) > 1 or (here and job_name is not None):
        here = [actor for actor in here if job_name is not None and _key(job_name) == _key(actor.actor_name)]
    if len(here) == 1:
        return here[0]
    try:
        resolved = resolve_name(app.settings, asked, job_name, list(actors))
    except UnknownName as error:
        raise UnknownQueue(str(error)) from None
    if resolved not in actors:
        raise UnknownActor(
            f"{asked!r} means the actor {resolved}, which this installation does not have; "
            f"it has {', '.join(sorted(actors))}"
        )
    return actors[resolved]


def find_queues(app: "App", name: str) -> tuple[str, ...]:
    """The queues behind a name: itself, or all that a document's name sums up. Raises UnknownQueue."""
    declared = declared_queues(app)
    if name in declared:
        return (name,)
    try:
        return queues_behind(app.settings, name, declared)
    except UnknownName as error:
        raise UnknownQueue(str(error)) from None


def operated_queues(app: "App", name: str) -> Sequence[str]:
    """As `find_queues`, and a queue that no actor has any more as long as something of it is in the store."""
    try:
        return find_queues(app, name)
    except UnknownQueue:
        if len(name) <= LONGEST_QUEUE and name.isprintable() and _is_in_store(app, name):
            return (name,)
        raise


def one_queue(app: "App", name: str) -> str:
    """The one queue that `operated_queues` finds. Raises UnknownQueue, also for a name of several."""
    queues = operated_queues(app, name)
    if len(queues) > 1:
        raise UnknownQueue(f"{name!r} stands for several queues; name one of {', '.join(queues)}")
    return queues[0]


def possible_job_ids(values: Iterable[str]) -> list[str]:
    """Those that could be ids at all, each once."""
    possible = []
    for value in dict.fromkeys(values):
        with suppress(InvalidPayload):
            possible.append(check_stored_id(value))
    return possible


def declared_queues(app: "App") -> list[str]:
    """Every queue that has an actor, and the dead-letter queues that their failed jobs go to."""
    own = own_queues(app)
    ruled = {rule.to for rule in app.settings.dead_letters.rules}
    return sorted({*own, *ruled, *(app.settings.policy(queue).dead_letter for queue in own)})


def letter_queues(app: "App") -> set[str]:
    """The dead-letter queues: they hold failed jobs of other queues, and no actor serves them."""
    return set(declared_queues(app)) - set(own_queues(app))


def own_queues(app: "App") -> list[str]:
    """Every queue that has an actor."""
    return sorted({actor.queue_name for actor in app.broker.actors.values()})


def python_names(schema: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """`userId` as `user_id` where the actor has such a parameter; other keys stay as they are.

    Raises InvalidPayload when one parameter is given under both names.
    """
    parameters = schema.get("properties", {})
    renamed: dict[str, Any] = {}
    for key, value in data.items():
        snake = _snake(key)
        target = snake if key not in parameters and snake in parameters else key
        if target in renamed:
            raise InvalidPayload(f"{target}: it is given twice, as {target} and in camelCase")
        renamed[target] = value
    return renamed


def value_of(text: str, schema: Mapping[str, Any]) -> Any:
    """A word as a parameter of this schema takes it: text where that is text, else JSON."""
    kinds = {schema.get("type"), *(part.get("type") for part in schema.get("anyOf", []))}
    if "string" in kinds:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # validation says what is wrong with it


def _is_in_store(app: "App", queue: str) -> bool:
    if any(scope.queue == queue for scope in app.store.adjustments()):
        return True
    (stats,) = app.store.stats([queue])
    counts = (stats.waiting, stats.active, stats.delayed, stats.blocked)
    return any((*counts, stats.completed, stats.failed, stats.cancelled, stats.dead_letters))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _key(name: str) -> str:
    return name.strip().lower().replace("-", "_")
