"""From the names that producers use to the actor that is meant (CATALOGUE section 1, Names)."""

from collections.abc import Iterable, Mapping

from settings.aliases import ANY, job_key
from settings.errors import UnknownName, nearest, suggestion
from settings.model import Settings


def actor_of(queue: str) -> str:
    """The actor of a queue of the catalogue: `email-sync` -> `email_sync`."""
    return queue.replace("-", "_")


def resolve_name(
    settings: Settings, queue: str, job_name: str | None = None, declared: Iterable[str] = ()
) -> str:
    """The actor that a queue name and a job name mean.

    `queue` may be a queue, an actor, or a name of the requirement documents (`email`, `WORKFLOW`);
    `declared` names the queues or actors of the user's own. Raises UnknownName when it fits none, with the
    nearest, or several, with the choices.
    """
    declared = tuple(declared)
    own = _own(settings, declared)
    if (jobs := _alias(settings, queue)) is not None:
        actor = _of_alias(queue, jobs, job_name)
    elif (direct := own.get(_key(queue))) is not None:
        actor = direct
        if job_name is not None and job_key(job_name) != job_key(actor):
            raise UnknownName(f"Queue {queue!r} has no job {job_name!r}: its only job is {actor}.")
    else:
        raise UnknownName(f"Unknown queue {queue!r}: {_hint(settings, queue, declared)}")
    if actor in _dead_letter_actors(settings):
        raise UnknownName(
            f"{queue!r} is a dead-letter queue, where jobs come that failed for good: send to another queue."
        )
    return actor


def queues_behind(settings: Settings, queue: str, declared: Iterable[str] = ()) -> tuple[str, ...]:
    """The queues whose numbers add up to those of a name: its own, or those of all actors behind an alias.

    Raises UnknownName when it fits none.
    """
    declared = tuple(declared)
    own = _own(settings, declared)
    jobs = _alias(settings, queue)
    if jobs is None:
        if _key(queue) not in own:
            raise UnknownName(f"Unknown queue {queue!r}: {_hint(settings, queue, declared)}")
        actors = {own[_key(queue)]}
    else:
        actors = set(jobs.values())
    names = {actor_of(name): name for name in (*declared, *settings.queues)}
    return tuple(sorted(names.get(actor, actor.replace("_", "-")) for actor in actors))


def _alias(settings: Settings, queue: str) -> Mapping[str, str] | None:
    """The jobs behind an alias: written exactly so, or else with any case when no two differ by it."""
    if queue in settings.aliases:
        return settings.aliases[queue]
    if _key(queue) in {_key(name) for name in settings.queues}:
        return None
    alike = [jobs for name, jobs in settings.aliases.items() if _key(name) == _key(queue)]
    if len(alike) > 1:
        # The case decides between them and was not given: only the actors' own names tell which is meant.
        return {actor: actor for jobs in alike for actor in jobs.values()}
    return alike[0] if alike else None


def _of_alias(queue: str, jobs: Mapping[str, str], job_name: str | None) -> str:
    choices = sorted(set(jobs.values()))
    if len(choices) == 1 and (job_name is None or ANY in jobs):
        return choices[0]
    if job_name is None:
        raise UnknownName(f"Queue {queue!r} fits several actors: name one of {', '.join(choices)}.")
    key = job_key(job_name)
    by_key = {job_key(job): actor for job, actor in jobs.items()} | {actor: actor for actor in choices}
    found = by_key.get(key) or jobs.get(ANY)
    if found is None:
        raise UnknownName(f"Queue {queue!r} has no job {job_name!r}: {suggestion(key, by_key)}")
    return found


def _own(settings: Settings, declared: Iterable[str]) -> dict[str, str]:
    return {_key(name): actor_of(name) for name in (*settings.queues, *declared)}


def _dead_letter_actors(settings: Settings) -> set[str]:
    policies = (settings.queue_defaults, *settings.queues.values())
    return {actor_of(policy.dead_letter) for policy in policies}


def _hint(settings: Settings, queue: str, declared: tuple[str, ...]) -> str:
    """What was meant: a queue that is installed, else a close name of the tables, else what is installed."""
    installed = [name.replace("_", "-") for name in declared]
    known = {*settings.aliases, *settings.queues}
    near = nearest(queue.replace("_", "-"), installed) or nearest(queue, known, cutoff=0.75)
    return f"did you mean {near}?" if near else suggestion(queue, installed or known)


def _key(name: str) -> str:
    return name.strip().lower().replace("-", "_")
