"""Loads `lua/VERB.lua`, binds its names and runs it.

A script's header is its contract: KEYS and ARGV are names, which become Lua locals here and the
order of arguments in Python, so that no list of numbered keys is kept by hand.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, ResponseError

from broker.redis.keys import Keys
from broker.redis.lua_source import put_together
from broker.redis.wire import Argument, Wire, pack, pack_parts

LUA = Path(__file__).parent / "lua"
HEADER_FIELDS = ("PURPOSE", "KEYS", "ARGV", "RETURNS", "EVENTS", "OOM", "INCLUDE")

FLAGS = {"allowed": "#!lua flags=allow-oom", "reads": "#!lua flags=no-writes"}
#: How a server says that the text itself is at fault.
NOT_LUA = ("compiling script", "script shebang", "Unexpected flag", "Could not find scripting engine")
T = TypeVar("T")
#: A script's name, its arguments, and the repeated keys.
Call = tuple[str, Sequence[Argument], Sequence[str]]
TAKES_NO_MEMORY = "if KEYS[1] then redis.call('PERSIST', KEYS[1]) end"


@dataclass(frozen=True)
class Script:
    """One verb. `rest_of_keys` and `rest_of_argv` name the repeated last one, if any."""

    name: str
    purpose: str
    keys: tuple[str, ...]
    argv: tuple[str, ...]
    rest_of_keys: str | None
    rest_of_argv: str | None
    when_full: str  # refused, allowed, or reads: it only reads
    body: str
    parts: tuple[str, ...]  # as they are written: the includes, then the script itself

    def source(self, *, flags: bool) -> str:
        """The Lua text. `OOM: allowed` scripts run in a full server: by a flag from Redis 7 on, which 6.2
        rejects; there a script may write once its first write was one that takes no memory."""
        if flags and self.when_full in FLAGS:
            return f"{FLAGS[self.when_full]}\n{self.body}"
        return f"{TAKES_NO_MEMORY}\n{self.body}" if self.when_full == "allowed" else self.body


@cache
def load_script(name: str) -> Script:
    """Read one script. Raises ValueError when its header is not complete."""
    text = (LUA / f"{name}.lua").read_text()
    header = dict(re.findall(r"^-- ([A-Z]+):[ \t]*(.*)$", text, flags=re.MULTILINE))
    missing = [field for field in HEADER_FIELDS if field not in header]
    if missing:
        raise ValueError(f"lua/{name}.lua: the header lacks {', '.join(missing)}")
    keys, rest_of_keys = _names(header["KEYS"])
    argv, rest_of_argv = _names(header["ARGV"])
    includes = [(LUA / "includes" / f"{part}.lua").read_text() for part in _split(header["INCLUDE"])]
    head = [f"local {argument} = ARGV[{number}]" for number, argument in enumerate(argv, start=1)]
    # Lua indexes the repeated ones itself: KEYS[first_wake], ARGV[first_job] and so on.
    head += [f"local first_{rest_of_keys} = {len(keys) + 1}"] if rest_of_keys else []
    head += [f"local first_{rest_of_argv} = {len(argv) + 1}"] if rest_of_argv else []
    names = {key: f"KEYS[{number}]" for number, key in enumerate(keys, start=1)}
    names |= {field: str(number) for number, field in enumerate(record_fields(), start=1)}
    body = put_together(head, includes, text, names)
    return Script(
        name=name,
        purpose=header["PURPOSE"],
        keys=keys,
        argv=argv,
        rest_of_keys=rest_of_keys,
        rest_of_argv=rest_of_argv,
        when_full=header["OOM"],
        body=body,
        parts=(*includes, text),
    )


def all_scripts() -> list[Script]:
    return [load_script(path.stem) for path in sorted(LUA.glob("*.lua"))]


class Scripts:
    """Runs scripts over one wire, for one shard. Loads them again after a server lost them."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys
        self._flags: bool | None = None
        self._prepared: dict[tuple[str, int], tuple[int, bytes]] = {}

    def run_all(self, calls: Iterable[Call]) -> list[Any]:
        """Run scripts in order, in one round trip. Raises the first error after all have run.

        `calls` are asked for anew at each try; the server begins with the first before the last is there.
        """
        try:
            return self._wire.call(Lazily(self._command, calls))
        except NoScriptError:
            # The server was restarted or flushed. Every verb is idempotent, so all may run again.
            self._prepared.clear()
            self._flags = None  # it may be another release of the server
            return self._wire.call(Lazily(self._command, calls))

    def _command(self, call: Call) -> bytes:
        name, argv, more_keys = call
        size, head = self._prepared.get((name, len(more_keys))) or self._prepare(name, len(more_keys))
        return b"*%d\r\n%b%b" % (size + len(more_keys) + len(argv), head, pack_parts((*more_keys, *argv)))

    def _prepare(self, name: str, more_keys: int) -> tuple[int, bytes]:
        """The part of a call that is always the same: how many words it has, and the words packed."""
        script = load_script(name)
        words: tuple[Argument, ...] = (
            "EVALSHA",
            self._load(script),
            len(script.keys) + more_keys,
            *self._keys.all_of(script.keys),
        )
        prepared = len(words), pack_parts(words)
        self._prepared[name, more_keys] = prepared  # another thread may empty this at any moment
        return prepared

    def _load(self, script: Script) -> str:
        if self._flags is None:
            (info,) = self._wire.call([pack("INFO", "server")])
            found = re.search(rb"redis_version:(\d+)", info)
            self._flags = found is not None and int(found[1]) >= 7
        source = script.source(flags=self._flags)
        try:
            self._wire.call([pack("SCRIPT", "LOAD", source)])
        except ResponseError as error:
            if not any(word in str(error) for word in NOT_LUA):
                raise  # it is busy, full, or forbids it: nothing is wrong with the script
            raise ValueError(f"lua/{script.name}.lua does not load: {error}") from error
        return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class Lazily(Iterable[T]):
    """What `make` makes of each item when its turn comes, anew each time this is gone through."""

    def __init__(self, make: Callable[[Any], T], items: Iterable[Any]) -> None:
        self._make = make
        self._items = items

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self._items)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _names(field: str) -> tuple[tuple[str, ...], str | None]:
    names = _split(field)
    if names and names[-1].endswith("..."):
        return tuple(names[:-1]), names[-1].removesuffix("...")
    return tuple(names), None


def record_fields() -> tuple[str, ...]:
    """The fields of a job's record in their order, as includes/record.lua lists them."""
    found = re.search(r"^-- FIELDS: (.*)$", (LUA / "includes" / "record.lua").read_text(), flags=re.MULTILINE)
    assert found is not None
    return tuple(_split(found[1]))
