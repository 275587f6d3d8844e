"""What makes two jobs the same: the option `unique`, from the call or its actor.

    unique={"key": "inbox-7"}                   # a key of the caller's
    unique={"by": ["account_id"]}               # the values of these parameters
    unique=True                                 # of all of them
    … "mode": "throttle", "ttl": 60_000         # what a second one does, and for how long (ms)

Keys hold within a tenant and an actor.
"""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from broker.canonical import canonical
from jobs.errors import InvalidPayload
from jobs.ids import UNIQUE_GATE
from jobs.model import Unique, UniqueMode
from jobs.sealing import Seal

Args = tuple[Any, ...]
#: Arguments with the types of their function's hints, by place and by name. Raises InvalidPayload.
AsTaken = Callable[[Args, Mapping[str, Any]], tuple[Args, Mapping[str, Any]]]

LONGEST_KEY = 1_000
LONGEST_TTL_MS = 10**12
_MODES = tuple(mode.value for mode in UniqueMode)


def as_given(args: Args, kwargs: Mapping[str, Any]) -> tuple[Args, Mapping[str, Any]]:
    """Where nothing checks arguments."""
    return args, kwargs


class Uniqueness(NamedTuple):
    """The option, checked. With neither `key` nor `by` all arguments count."""

    key: str | None = None
    by: tuple[str, ...] = ()
    mode: UniqueMode = UniqueMode.UNTIL_FINISHED
    ttl_ms: int = 0

    def of(
        self,
        actor: str,
        arguments: Callable[[], Mapping[str, Any]],
        tenant: str = "",
        seal: Seal | None = None,
    ) -> Unique:
        """The entry of a job with these `arguments` by name, which are asked for when they count. With a
        `seal` its key tells nothing to anybody without the fleet's key, however few values there may be.

        Raises InvalidPayload when one of them has no JSON form.
        """
        try:
            return Unique(digest(self._values(arguments), tenant, seal), self.mode, self.ttl_ms)
        except (TypeError, RecursionError):
            raise InvalidPayload(f"{actor}: unique counts a value that has no JSON form.") from None

    def _values(self, arguments: Callable[[], Mapping[str, Any]]) -> object:
        if self.key is not None:
            return self.key
        values = arguments()
        return {name: values[name] for name in self.by} if self.by else values


def check_unique(value: object) -> Uniqueness | None:
    """The option as a call or an actor gives it, None for False. Raises InvalidPayload."""
    if value is False:
        return None
    if value is True:
        return Uniqueness()
    if not isinstance(value, Mapping) or value.keys() - {"key", "by", "mode", "ttl"}:
        raise InvalidPayload("unique must be True, False or a table of key or by, mode and ttl.")
    key, by = value.get("key"), value.get("by")
    if key is not None and by is not None:
        raise InvalidPayload("unique takes key or by, not both.")
    if key is not None and (not isinstance(key, str) or not 1 <= len(key) <= LONGEST_KEY):
        raise InvalidPayload(f"unique.key must be a text of 1 to {LONGEST_KEY} characters.")
    if by is not None and not _names(by):
        raise InvalidPayload('unique.by must be a list of parameters such as ["account_id"].')
    mode = value.get("mode", UniqueMode.UNTIL_FINISHED)
    if mode not in _MODES:
        raise InvalidPayload(f"unique.mode must be one of {', '.join(_MODES)}.")
    ttl = value.get("ttl") or 0
    if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 <= ttl <= LONGEST_TTL_MS:
        raise InvalidPayload(f"unique.ttl must be a whole number of milliseconds to {LONGEST_TTL_MS}.")
    if mode == UniqueMode.THROTTLE and not ttl:
        raise InvalidPayload("unique.ttl must be given with mode throttle, in milliseconds.")
    return Uniqueness(key, tuple(by or ()), UniqueMode(mode), ttl)


def check_parameters(unique: Uniqueness | None, function: Callable[..., Any]) -> None:
    """Raise InvalidPayload unless the function has the parameters that `by` names."""
    if unique is None or not unique.by:
        return
    names = _signature(function).parameters
    for name in unique.by:
        if name not in names:
            raise InvalidPayload(f"unique.by names {name!r}; there are {', '.join(names)}.")


def arguments_by_name(
    function: Callable[..., Any], args: Args, kwargs: Mapping[str, Any], as_taken: AsTaken = as_given
) -> Mapping[str, Any]:
    """What a call gives to each parameter, with the defaults of those left out, as the function takes it:
    "5" is 5 for a number. Raises InvalidPayload."""
    args, kwargs = as_taken(args, kwargs)
    try:
        bound = _bound(function, args, kwargs)
    except TypeError as error:
        raise InvalidPayload(f"unique: {error}.") from None
    left_out = [name for name in _signature(function).parameters if name not in bound.arguments]
    bound.apply_defaults()
    if left_out:  # a default of 1 is 1.0 for a float, as it is when it is given
        try:
            bound = _bound(function, *as_taken(bound.args, bound.kwargs))
        except InvalidPayload:
            bound.arguments.update(_defaults(function, args, kwargs, left_out, as_taken))
        bound.apply_defaults()
    return bound.arguments


def one_at_a_time(actor: str, unique: Unique) -> str:
    """The gate of a job of mode `latest`, which never runs beside another with its key."""
    return f"{UNIQUE_GATE}{actor}:{unique.key}"


def digest(values: object, tenant: str = "", seal: Seal | None = None) -> str:
    """A key that tells nothing of the values: equal ones, in whatever order they were named, have one key."""
    written = orjson.dumps(canonical(values), option=orjson.OPT_SORT_KEYS)
    if seal is not None:
        return seal.digest(written, tenant, "unique")
    return hashlib.sha256(written).hexdigest()[:32]


def _bound(function: Callable[..., Any], args: Args, kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
    return _signature(function).bind(*args, **kwargs)


def _defaults(
    function: Callable[..., Any],
    args: Args,
    kwargs: Mapping[str, Any],
    names: list[str],
    as_taken: AsTaken,
) -> dict[str, Any]:
    """Of these defaults those that could be given, as the function would take them: None for a text could
    not, and stays what it is."""
    found = {}
    for name in names:
        default = _signature(function).parameters[name].default
        with suppress(InvalidPayload, TypeError):
            found[name] = _bound(function, *as_taken(args, {**kwargs, name: default})).arguments[name]
    return found


@lru_cache(maxsize=1_000)
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _names(by: object) -> bool:
    return isinstance(by, list | tuple) and bool(by) and all(isinstance(name, str) for name in by)
