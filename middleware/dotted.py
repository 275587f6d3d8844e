"""A middleware class by its dotted path, as `middleware.extra` and `middleware.replace` name it."""

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import dramatiq
from dramatiq.middleware import AsyncIO, Callbacks, Pipelines, Retries, TimeLimit

from settings import SettingsError


def make_middleware(setting: str, path: str, ports: object) -> dramatiq.Middleware:
    """`Class()`, or `Class(ports)` when its `__init__` takes one argument.

    Raises SettingsError, which names the setting, for what cannot be loaded or made.
    """
    says = f"middleware.{setting} names {path!r}"
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"{says}, which cannot be loaded: {error}.") from error
    except Exception as error:  # whatever a user's own module raises
        raise SettingsError(f"{says}, which cannot be loaded: {type(error).__name__}: {error}.") from error
    if not (isinstance(kind, type) and issubclass(kind, dramatiq.Middleware)):
        raise SettingsError(f"{says}, which is no dramatiq.Middleware class.")
    if setting == "extra" and kind in _OF_THE_STACK:
        raise SettingsError(
            f"{says}, but the stack has its own {name}, and each run would be decided twice; to change it, "
            f"derive a class and name that in middleware.replace."
        )
    wanted = [one for one in inspect.signature(kind).parameters.values() if _is_required(one)]
    if wanted and not _takes_ports(wanted, type(ports)):
        raise SettingsError(
            f"{says}, whose __init__ needs {', '.join(one.name for one in wanted)}: it may need nothing, or "
            f"one argument, the ports of middleware.stack; derive a class of your own that gives it the rest."
        )
    try:
        make: Callable[..., dramatiq.Middleware] = kind
        return make(ports) if wanted else make()
    except Exception as error:
        raise SettingsError(f"{says}, which cannot be made: {type(error).__name__}: {error}.") from error


#: Dramatiq's own that have a place in the stack, as they are or derived.
_OF_THE_STACK = frozenset({Retries, TimeLimit, Callbacks, Pipelines, AsyncIO})


def _is_required(parameter: inspect.Parameter) -> bool:
    any_number = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not any_number


def _takes_ports(wanted: Sequence[inspect.Parameter], ports: type) -> bool:
    # A class that wants a URL, say, would take the ports and break in the first job.
    (first, *more) = wanted
    right: tuple[Any, ...] = (first.empty, Any, "Any", ports, ports.__name__)
    return not more and first.kind is not first.KEYWORD_ONLY and first.annotation in right
