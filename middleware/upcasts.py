"""Lifts arguments of older versions of an actor to those of today, one version at a time."""

import traceback
from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, NoReturn

from jobs.errors import InvalidPayload
from jobs.failures import worded_without_values
from middleware.contract import Contract

#: Has the signature of its version and returns the arguments of the next one by name.
Upcast = Callable[..., Mapping[str, Any]]


class Upcasts:
    """An actor's `version` and `upcasts` options, None where it has none.

    Raises InvalidPayload when they make no sense, TypeError when a function's type hints cannot be checked.
    """

    def __init__(self, actor: str, version: Any = None, functions: Any = None) -> None:
        self.version: int = 1 if version is None else version
        if not _is_number(self.version):
            raise InvalidPayload(f"version of {actor} must be a whole number from 1.")
        if functions is None:
            functions = {}
        if not isinstance(functions, Mapping) or not all(map(_is_number, functions)):
            raise InvalidPayload(f"upcasts of {actor} must be functions by version: {{1: lift_1_to_2}}.")
        self._actor = actor
        self._functions: Mapping[int, Upcast] = dict(functions)
        first = min(functions, default=self.version)
        if set(functions) != set(range(first, self.version)):
            raise InvalidPayload(
                f"upcasts of {actor} must have one function for each version from {first} to "
                f"{self.version - 1}, because its version is {self.version}."
            )
        self._contracts = {step: self._contract(step) for step in self._functions}

    def lift(self, version: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of an older version as those of today, by name. Raises InvalidPayload, without values."""
        lifted = dict(kwargs)
        for step in range(version, self.version):
            if step not in self._functions:
                self._refuse(f"no longer takes arguments of version {step}: it has no upcast for them")
            args, named = self._contracts[step].check(args, lifted)
            lifted, args = self._run(step, args, named), ()
        return lifted

    def _run(self, step: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        failed = ""
        try:
            lifted = self._functions[step](*args, **kwargs)
        except Exception as error:  # noqa: BLE001  whatever it is, it would be the same the next time
            place = traceback.extract_tb(error.__traceback__)[-1]
            failed = f"{type(error).__name__} in {place.name}, {place.filename}:{place.lineno}"
        if failed:  # out here, so that the error, whose text may quote a value, is not chained
            self._refuse(f"cannot lift arguments of version {step} to {step + 1}: {failed}")
        if not isinstance(lifted, Mapping) or not all(isinstance(name, str) for name in lifted):
            self._refuse(f"has an upcast of version {step} that does not return arguments by name")
        return dict(lifted)

    def _refuse(self, words: str) -> NoReturn:
        raise worded_without_values(InvalidPayload(f"{self._actor} {words}."))

    def _contract(self, step: int) -> Contract:
        function = self._functions[step]
        if not callable(function) or iscoroutinefunction(function):
            raise InvalidPayload(f"upcasts of {self._actor} must be plain functions; that of {step} is none.")
        try:
            return Contract(f"{self._actor} of version {step}", function)
        except Exception as error:
            raise TypeError(f"The upcast {step} of actor {self._actor} cannot be checked: {error}") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
