"""Results that answer for later jobs: their keys, and the form in which they are kept.

A key is a digest of arguments, keyed with the fleet's key where there is one, within an actor and a tenant.
What is kept is sealed for just that key.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from broker.codec import Codec
from broker.json_form import json_form
from broker.proxy import JobProxy
from jobs.errors import ForgedMessage, KeyMissing
from jobs.model import CacheEntry, Outcome, Verdict
from jobs.sealing import About

if TYPE_CHECKING:
    from broker.broker import CallboardBroker

logger = logging.getLogger(__name__)

SEP = "\x1f"
#: A longer result is kept with its job alone.
LONGEST_RESULT = 65_536


class CachedResults:
    """What `middleware.result_cache` asks."""

    def __init__(self, broker: "Callable[[], CallboardBroker]") -> None:
        self._broker = broker

    def key_of(self, run: JobProxy, values: Mapping[str, Any], version: int) -> str:
        text = orjson.dumps(values, default=json_form, option=orjson.OPT_SORT_KEYS)
        seal, tenant = self._broker().codec.seal, run.job.lane
        digest = seal.digest(text, tenant, "cache") if seal else hashlib.sha256(text).hexdigest()
        return f"{prefix_of(run.actor_name, tenant)}{version}:{digest}"

    def find(self, run: JobProxy, key: str) -> tuple[Any] | None:
        broker = self._broker()
        kept = broker.store.cached(run.queue_name, key)
        if kept is None:
            return None
        if broker.codec.seal is not None:
            try:
                kept = broker.codec.seal.open(kept, _about(run, key)).plain
            except (ForgedMessage, KeyMissing) as error:
                logger.warning(
                    "A cached result of %s is passed over: %s", run.actor_name, type(error).__name__
                )
                return None
        return (orjson.loads(kept)["result"],)


def prefix_of(actor: str, tenant: str | None = None) -> str:
    """How the keys of an actor, and of one tenant ("" for none), begin."""
    return f"{actor}{SEP}" if tenant is None else f"{actor}{SEP}{tenant}{SEP}"


def with_cached(codec: Codec, run: JobProxy, verdict: Verdict) -> Verdict:
    """The verdict of a job whose result shall answer for others, with that result, where it can be sealed."""
    assert run.cache is not None
    record = verdict.record
    if verdict.outcome is not Outcome.COMPLETED or record is None or len(record) > LONGEST_RESULT:
        return verdict
    if b'"note"' in record and "note" in orjson.loads(record):
        return verdict  # it is not the result itself
    key, ttl_ms = run.cache
    if codec.seal is not None:
        try:
            record = codec.seal.close(record, _about(run, key), secret=run.secret)
        except KeyMissing as error:
            why = type(error).__name__
            logger.warning("The result of %s is not kept for others: %s", run.actor_name, why)
            return verdict
    return verdict._replace(cache=CacheEntry(key, record, ttl_ms))


def _about(run: JobProxy, key: str) -> About:
    return About("result", run.job.lane, run.actor_name, run.queue_name, f"cache{SEP}{key}")
