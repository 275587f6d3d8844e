"""An actor's signature as a contract: checked at send and again at receive, and the API's JSON schema."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from types import GenericAlias
from typing import Any, NotRequired, Required, get_type_hints
from weakref import WeakKeyDictionary

from pydantic import (
    ConfigDict,
    PydanticInvalidForJsonSchema,
    PydanticSchemaGenerationError,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import TypedDict

from jobs.errors import InvalidPayload
from jobs.failures import worded_without_values
from middleware.marked import is_marked

# Made at run time, which is nothing a type checker can follow.
_typed_dict: Callable[[str, dict[str, Any]], Any] = TypedDict  # type: ignore[assignment]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
# JSON has no NaN: it would be sent as null, and refused only when it arrives.
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
#: Faults whose words come from the hints alone.
_SILENT = frozenset({"missing", "extra_forbidden", "literal_error", "enum"})
#: A shorter value may stand in any sentence by chance.
_TELLING = 3
#: So much is told of a name that somebody gave and nobody knows.
_LONGEST_NAME = 64

#: What *args and **kwargs take, by name.
REST = "the rest"
#: Words of a schema that change nothing of what it accepts.
_WORDS = frozenset({"title", "description", "examples"})
_NAMED = frozenset({"properties", "$defs"})


class Contract:
    """What one actor accepts. Raises TypeError when a type hint cannot be checked or written as JSON.

    `private` are the parameters that are, or may hold, what is marked Secret or PII. `fingerprint` tells
    contracts apart: actors that accept the same have the same one.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        parameters = inspect.signature(function).parameters.values()
        hints = get_type_hints(inspect.unwrap(function), include_extras=True)
        self._positional = [p.name for p in parameters if p.kind in _POSITIONAL]
        self._only_positional = {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_ONLY}
        self._more: TypeAdapter[tuple[Any, ...]] | None = None  # of *args
        self._more_named: TypeAdapter[dict[str, Any]] | None = None  # of **kwargs
        fields: dict[str, Any] = {}
        self.private = frozenset(name for name, hint in hints.items() if name != "return" and is_marked(hint))
        self._rest_is_private = False  # of *args and **kwargs
        for parameter in parameters:
            hint = hints.get(parameter.name, Any)
            if parameter.kind is parameter.VAR_POSITIONAL:
                self._more = _adapter_of(tuple, hint, ...)
                self._rest_is_private |= parameter.name in self.private
            elif parameter.kind is parameter.VAR_KEYWORD:
                self._more_named = _adapter_of(dict, str, hint)
                self._rest_is_private |= parameter.name in self.private
            else:
                required = parameter.default is parameter.empty
                fields[parameter.name] = Required[hint] if required else NotRequired[hint]
        self._adapter = _adapter(name, fields, **({"extra": "allow"} if self._more_named else {}))
        self._validate = self._adapter.validator.validate_python  # one call less on every job
        self._names = frozenset(fields)
        try:
            self._schema = self._adapter.json_schema() | {"title": name}
        except PydanticInvalidForJsonSchema as error:
            raise TypeError(f"a type hint has no form in JSON: {error}") from None
        more = [adapter.json_schema() for adapter in (self._more, self._more_named) if adapter is not None]
        self.fingerprint = _fingerprint([self._schema, self._positional, more])

    def check(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with the types of the hints. Raises InvalidPayload naming each field at fault."""
        named, more = self._name(args, kwargs)
        refusal = None
        try:
            values = self._validate(named)
            if self._more is not None:
                more = self._more.validate_python(more)
            if self._more_named is not None:
                extra = {name: value for name, value in values.items() if name not in self._names}
                values |= self._more_named.validate_python(extra)
        except ValidationError as error:
            refusal = self._refusal(f"cannot take these arguments: {self._faults(error)}.")
        if refusal is not None:
            raise refusal from None  # out here: not even its context brings along what pydantic quotes
        if kwargs or self._more_named is not None:
            placed = tuple([values.pop(name) for name in self._positional[: len(args)]])
        else:
            placed, values = tuple(values.values()), {}  # they come in the order of the parameters
        if len(args) < len(self._only_positional):
            # Given by name, as the API does, or left out: the function takes them by place alone.
            rest = list(self._only_positional.items())[len(args) :]
            placed += tuple(values.pop(name, default) for name, default in rest)
        return placed + more, values

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """These arguments by the names of parameters; what *args and **kwargs take is under `REST`."""
        named, more = self._name(args, kwargs)
        rest = [*more, *(value for name, value in named.items() if name not in self._names)]
        known = {name: value for name, value in named.items() if name in self._names}
        return known | ({REST: rest} if rest else {})

    def private_arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Those that are, or may hold, what is marked Secret or PII."""
        if not self.private:
            return {}
        private = self.private | {REST} if self._rest_is_private else self.private
        return {name: value for name, value in self.arguments(args, kwargs).items() if name in private}

    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments by name."""
        return deepcopy(self._schema)

    def parameters(self) -> list[str]:
        """Names that arguments may be given by."""
        return list(self._schema.get("properties", {}))

    def _name(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], tuple[Any, ...]]:
        if not args:
            return dict(kwargs), ()
        if len(args) > len(self._positional) and self._more is None:
            raise self._refusal(
                f"takes {len(self._positional)} arguments by position; {len(args)} were given."
            )
        named = dict(zip(self._positional, args, strict=False))
        if kwargs:
            twice = named.keys() & kwargs.keys()
            if twice:
                raise self._refusal(f"was given {', '.join(sorted(twice))} twice.")
            named |= kwargs
        return named, args[len(self._positional) :]

    def _refusal(self, words: str) -> InvalidPayload:
        return worded_without_values(InvalidPayload(f"{self.name} {words}"))

    def _faults(self, error: ValidationError) -> str:
        """Place and reason of the first five faults, in which no value stands."""
        known = self._names | set(_properties(self._schema))
        found = error.errors(include_url=False, include_context=False)
        told = []
        if self.private:
            # The name of an argument that nobody expects may be anything, a value too.
            strange = [fault for fault in found if _is_strange(fault)]
            found = [fault for fault in found if not _is_strange(fault)]
            if strange:
                expected = ", ".join(self.parameters()) or "none"
                told = [f"{len(strange)} given by name that it does not have (it takes {expected})"]
        return "; ".join([self._fault(fault, known) for fault in found[:5]] + told)

    def _fault(self, fault: Mapping[str, Any], known: set[str] | frozenset[str]) -> str:
        path = fault["loc"]
        first = path[0] if path else None
        private = first in self.private if first in self._names else self._rest_is_private
        if not private:
            return f"{_place(path, known)}: {_reason(fault)}"
        # Of these not even a short value, or a number that is the key of a dictionary, may be quoted.
        names = [step for step in path if isinstance(step, str) and step.isidentifier()] or ["an argument"]
        return f"{_place(tuple(names), known)}: {_silent_reason(fault)}"


#: One for each function while that is there: making one takes milliseconds.
_contracts: "WeakKeyDictionary[Callable[..., Any], Contract]" = WeakKeyDictionary()


def contract_of(name: str, function: Callable[..., Any]) -> Contract:
    """The contract of an actor's function, however wrapped. Raises TypeError like Contract."""
    bare = inspect.unwrap(function)
    contract = _contracts.get(bare)
    if contract is None or contract.name != name:
        contract = _contracts[bare] = Contract(name, function)
    return contract


def _adapter(name: str, fields: dict[str, Any], **config: Any) -> TypeAdapter[dict[str, Any]]:
    shape = _typed_dict(name, fields)
    shape.__pydantic_config__ = _CONFIG | config
    return _checkable(shape)


def _adapter_of(collection: type, *hints: Any) -> TypeAdapter[Any]:
    return _checkable(GenericAlias(collection, hints), config=_CONFIG)


def _checkable(shape: Any, config: ConfigDict | None = None) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(shape, config=config)
    except PydanticSchemaGenerationError as error:
        raise TypeError(str(error).splitlines()[0]) from None


def _properties(schema: Any) -> Iterator[str]:
    """The names of all fields in a JSON schema, those of models within too."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for part in schema.values():
            yield from _properties(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _properties(part)


def _place(path: tuple[int | str, ...], known: set[str] | frozenset[str]) -> str:
    # The key of a dictionary is a value of the caller's, too.
    shown = [str(step) for at, step in enumerate(path) if at == 0 or isinstance(step, int) or step in known]
    return ".".join([step if step in known else step[:_LONGEST_NAME] for step in shown])


def _is_strange(fault: Mapping[str, Any]) -> bool:
    return fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1


def _reason(fault: Mapping[str, Any]) -> str:
    # Pydantic seldom quotes the value, validators of a model may.
    text: str = fault["msg"]
    if not any(value in text for value in _texts(fault["input"])):
        return text[:1].lower() + text[1:]
    return _silent_reason(fault)


def _silent_reason(fault: Mapping[str, Any]) -> str:
    """Why, in words that come from the hints alone."""
    text: str = fault["msg"]
    if fault["type"] in _SILENT:
        return text[:1].lower() + text[1:]
    return f"is not valid ({fault['type'].replace('_', ' ')})"


def _fingerprint(of: object) -> str:
    # In order: by place, arguments mean what their order says.
    return hashlib.sha256(json.dumps(_without_words(of)).encode()).hexdigest()[:8]


def _without_words(schema: Any, named: bool = False) -> Any:
    """`named`: the keys are names of the user's, one of which may be `title`."""
    if isinstance(schema, dict):
        return {
            key: _without_words(part, key in _NAMED and not named)
            for key, part in schema.items()
            if named or key not in _WORDS
        }
    return [_without_words(part) for part in schema] if isinstance(schema, list) else schema


def _texts(value: Any) -> Iterator[str]:
    """What is in a value, as it would be quoted."""
    if isinstance(value, Mapping):
        for key, within in value.items():
            yield from _texts(key)
            yield from _texts(within)
    elif isinstance(value, list | tuple | set | frozenset):
        for within in value:
            yield from _texts(within)
    elif len(text := str(value)) >= _TELLING:
        yield text
