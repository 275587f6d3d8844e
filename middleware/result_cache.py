"""A job whose result is known is completed without running: `@actor(cache={"key": [...], "ttl": "10min"})`.

`key` names the parameters whose values make two jobs the same (all of them, when it is left out). A result is
known within its tenant and actor, for `ttl`; a call with `cache=False` runs in any case.
"""

import inspect
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.middleware import SkipMessage

from jobs.errors import CallboardError, InvalidPayload
from jobs.failures import worded_without_values
from jobs.model import Outcome
from middleware.contract import contract_of
from middleware.delivery import Delivery, delivery
from middleware.ends import outcome_of
from settings import parse_ms

logger = logging.getLogger(__name__)

SHORTEST_TTL_MS, LONGEST_TTL_MS = 1, 30 * 86_400_000


class CachedResults(Protocol):
    """Where results are found; the broker's."""

    def key_of(self, run: Any, values: Mapping[str, Any], version: int) -> str:
        """The key of a job with these values, as a digest. Raises TypeError for what has no JSON form."""

    def find(self, run: Any, key: str) -> tuple[Any] | None:
        """The result, or None when none is known. Raises the errors of `jobs.errors`."""


class Rule(NamedTuple):
    """What an actor declares; without `names` all its arguments count."""

    names: tuple[str, ...]
    ttl_ms: int
    version: int
    signature: inspect.Signature


class ResultCache(dramatiq.Middleware):
    """Only actors that declare it pay for it."""

    def __init__(self, results: CachedResults) -> None:
        self._results = results
        self._rules: dict[str, Rule] = {}

    @property
    def actor_options(self) -> set[str]:
        return {"cache"}

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        self._rules.pop(actor.actor_name, None)
        if actor.options.get("cache"):
            self._rules[actor.actor_name] = rule_of(actor)

    def before_enqueue(
        self, broker: dramatiq.Broker, message: "dramatiq.Message[Any]", delay: int | None
    ) -> None:
        if "cache" in message.options and message.options["cache"] is not False:
            raise worded_without_values(
                InvalidPayload("cache is said of an actor; a call may give cache=False, to run in any case.")
            )

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        if not self._rules:
            return
        run = delivery(message)
        rule = self._rules.get(run.actor_name)
        if rule is None or run.options.get("cache") is False:
            return
        try:
            key = self._results.key_of(run, _values(rule, run), rule.version)
            known = self._results.find(run, key)
        except (CallboardError, TypeError) as error:
            # Without the cache the job is merely slower.
            logger.warning("%s runs without its cache: %s", run, type(error).__name__)
            return
        if known is None:
            run.cache = (key, rule.ttl_ms)
            return
        run.cached, run.result = True, known[0]
        raise SkipMessage(f"{run} was answered from the cache")

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        run = delivery(message)
        if run.cache is not None and outcome_of(run) is not Outcome.COMPLETED:
            run.cache = None


def rule_of(actor: "dramatiq.Actor[..., Any]") -> Rule:
    """The rule that an actor declares. Raises InvalidPayload."""
    given = actor.options["cache"]
    name = actor.actor_name
    if not isinstance(given, Mapping) or given.keys() - {"key", "ttl"} or "ttl" not in given:
        raise _refusal(f'{name}: cache takes ttl and key, such as {{"key": ["account_id"], "ttl": "10min"}}.')
    try:
        ttl = parse_ms(given["ttl"])
    except (ValueError, TypeError) as error:
        raise _refusal(f"{name}: cache.ttl {error}.") from None
    if not SHORTEST_TTL_MS <= ttl <= LONGEST_TTL_MS:
        raise _refusal(f"{name}: cache.ttl must be from 1 ms to 30 days.")
    names = given.get("key") or ()
    known = contract_of(name, actor.fn).parameters()
    if isinstance(names, str) or (unknown := [key for key in names if key not in known]):
        wrong = names if isinstance(names, str) else unknown[0]
        raise _refusal(f"{name}: cache.key names {wrong!r}; it is a list of parameters: {', '.join(known)}.")
    version = actor.options.get("version")
    return Rule(tuple(names), ttl, version if isinstance(version, int) else 0, inspect.signature(actor.fn))


def _values(rule: Rule, run: Delivery) -> dict[str, Any]:
    bound = rule.signature.bind(*run.args, **run.kwargs)
    bound.apply_defaults()
    return {name: bound.arguments[name] for name in rule.names or bound.arguments}


def _refusal(words: str) -> InvalidPayload:
    return worded_without_values(InvalidPayload(words))
