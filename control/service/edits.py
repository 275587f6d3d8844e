"""A change to the arguments of dead letters before they run again, checked against the actor's contract."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dramatiq
import orjson

from broker.codec import UndecodablePayload
from broker.json_form import json_form
from control.service.edited_names import check_names_stay
from control.service.names import python_names, value_of
from jobs.blobs import OPTION as BLOB
from jobs.errors import InvalidPayload, PayloadTooLarge
from jobs.model import Job

if TYPE_CHECKING:
    from actors.composition import App

#: Options that an operator may lift, because a replay would come too late for them again.
_TIMES = ("deadline", "expires", "retry_for")
_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Edit:
    """`patch` is laid over the arguments by name as a JSON merge patch (RFC 7396: null takes one away), then
    `words`, where a value is text for a parameter that is text and JSON for others. `lift_times` takes the
    job's deadline, expiry and `retry_for` away."""

    patch: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    lift_times: bool = False

    def __bool__(self) -> bool:
        return bool(self.patch or self.words or self.lift_times)

    def of(self, app: "App", job: Job) -> bytes:
        """The payload that this job gets. Raises InvalidPayload (UnknownActor too) with the reason."""
        try:
            message = app.broker.decode(job)
        except UndecodablePayload as error:
            raise InvalidPayload(str(error)) from None
        options = dict(message.options)
        if self.lift_times:
            options |= dict.fromkeys(_TIMES, 0)
        args, kwargs = message.args, message.kwargs
        if self.patch or self.words:
            if BLOB in options:
                raise InvalidPayload(
                    "its arguments are in the blob store and cannot be edited; send a new job"
                )
            args, kwargs = (), self._arguments(app, job, message)
            if "stamp" in options:
                options["stamp"] = _stamp(app, job.actor)
        parts = [args, kwargs, options, message.message_timestamp]
        plain = orjson.dumps(parts, default=json_form)
        codec = app.broker.codec
        if len(plain) > codec.max_bytes:
            raise PayloadTooLarge(
                f"the arguments of job {job.id} take {len(plain):,} bytes, more than the {codec.max_bytes:,} "
                "that an edited payload may have"
            )
        try:
            return codec.resealed(job, plain)
        except UndecodablePayload as error:
            raise InvalidPayload(str(error)) from None

    def _arguments(self, app: "App", job: Job, message: "dramatiq.Message[Any]") -> dict[str, Any]:
        contract, schema = app.contract(message.actor_name), app.schema(message.actor_name)
        given = _by_name(app, message)
        changed: dict[str, Any] = _merged(given, python_names(schema, self.patch))
        for word, text in self.words.items():
            ((name, _),) = python_names(schema, {word: None}).items()
            changed[name] = value_of(text, schema.get("properties", {}).get(name, {}))
        contract.check((), changed)
        check_names_stay(app, job, message, given, changed)
        return changed


def _by_name(app: "App", message: "dramatiq.Message[Any]") -> dict[str, Any]:
    signature = inspect.signature(app.broker.actors[message.actor_name].fn)
    if any(one.kind in _MANY for one in signature.parameters.values()):
        raise InvalidPayload(f"{message.actor_name} takes any number of arguments; they cannot be edited")
    try:
        return dict(signature.bind_partial(*message.args, **message.kwargs).arguments)
    except TypeError:
        raise InvalidPayload(
            f"the arguments of job {message.message_id} are of another signature of {message.actor_name}"
        ) from None


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged


def _stamp(app: "App", actor: str) -> str:
    """The arguments are of this release's signature now."""
    from middleware.releases import Stamp

    version = app.broker.actors[actor].options.get("version") or 1
    return str(Stamp(app.settings.release, int(version), app.contract(actor).fingerprint))
