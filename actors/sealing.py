"""Puts sealing together: the fleet's keys from the settings or their file, the tenants' keys from SQL."""

import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, get_type_hints

import orjson

from broker.broker import CallboardBroker
from broker.codec import Codec
from broker.json_form import json_form
from jobs.errors import InvalidPayload
from jobs.sealing import About
from middleware.audit import SealedInputs
from middleware.contract import contract_of
from middleware.delivery import Delivery
from middleware.marked import is_marked, is_marked_class
from middleware.sealing import FleetSeal, Keyring, TenantKeys
from middleware.tallies import Gauges
from settings import Settings, key_bytes

if TYPE_CHECKING:
    import dramatiq
    from sqlalchemy import Engine

    from jobs.wrapped_keys import WrappedKeys

REFUSED = "Messages that did not run because they were forged, or because their key is missing"


class Sealing:
    """`engine` is asked for at the first tenant's key; `shared` says whether others reach the server too."""

    def __init__(self, settings: Settings, engine: "Callable[[], Engine]") -> None:
        keys = settings.keys
        given = {int(number): key_bytes(key.get_secret_value()) or b"" for number, key in keys.ring.items()}
        self._engine = engine
        self.tolerance_ms = keys.tolerance
        self.ring = Keyring(
            given, keys.current, settings.keys_file, lambda: settings.redis.effective_url() is not None
        )
        self.tenants = TenantKeys(self.ring, self._stored, keys.cache_seconds, keys.offline_seconds)
        self.seal = FleetSeal(self.ring, self.tenants)

    def codec(self, max_bytes: int) -> Codec:
        """A codec that seals."""
        return Codec(max_bytes, self.seal, self.tolerance_ms, is_marked_class)

    def inputs(self, job: Delivery) -> SealedInputs:
        """The arguments of an attempt for its audit row: encrypted where its payload was, and their digest.

        Raises KeyMissing, and InvalidPayload for an argument that has no JSON form.
        """
        try:
            text = orjson.dumps([job.args, job.kwargs], default=json_form)
        except TypeError:
            raise InvalidPayload(f"an argument of {job.actor_name} has no JSON form") from None
        tenant = job.job.lane
        digest = self.seal.digest(text, tenant, "inputs")
        if not job.secret:
            return SealedInputs(b"", digest)
        about = About("audit", tenant, job.actor_name, job.queue_name, job.message_id)
        return SealedInputs(self.seal.close(text, about, secret=True), digest)

    def _stored(self) -> "WrappedKeys":
        from database.tenant_keys import StoredTenantKeys

        return StoredTenantKeys(self._engine())


def is_private(actor: "dramatiq.Actor[..., Any]") -> bool:
    """Whether an actor takes what is marked Secret or PII."""
    try:
        return bool(contract_of(actor.actor_name, actor.fn).private)
    except TypeError:  # the validation is left out, or would have refused it
        pass
    try:
        hints = get_type_hints(inspect.unwrap(actor.fn), include_extras=True)
    except Exception:  # noqa: BLE001  a hint that nobody can read may say anything
        return True
    return any(is_marked(hint) for name, hint in hints.items() if name != "return")


def refused_gauges(broker: CallboardBroker) -> Iterator[Gauges]:
    """The counter of messages that did not run."""
    rows = tuple((labels, float(count)) for labels, count in broker.codec.refused.copy().items())
    yield Gauges("callboard_messages_refused_total", REFUSED, ("queue", "reason"), rows, counter=True)
