"""Imports the files of a folder that declare actors, and says in one sentence what is wrong with one."""

import inspect
import pkgutil
import traceback
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import dramatiq

from jobs.errors import CallboardError
from middleware.callbacks import missing_callbacks
from settings import SettingsError

#: Files of this folder that declare no actor and are imported where they are needed.
_PARTS = frozenset(
    {"composition", "declare", "extras", "instruments", "limit_rules", "loading", "logs", "upkeep"}
)
#: Their message is a sentence; of any other error it needs the name before it.
_WORDED = (CallboardError, SettingsError, ImportError, SyntaxError, TypeError, ValueError)


class BrokenActorFile(SettingsError):
    """A file with actors cannot be imported, or names what is not there. The message gives file, line and
    cause."""


def import_actors(package: str, folders: Iterable[str]) -> None:
    """Import every module of a package. Raises BrokenActorFile at the first that fails."""
    for module in pkgutil.iter_modules(folders):
        if module.name in _PARTS:
            continue
        try:
            import_module(f"{package}.{module.name}")
        except Exception as error:
            raise BrokenActorFile(_sentence(error, module.name, list(folders))) from error


def refuse_missing_callbacks(broker: dramatiq.Broker) -> None:
    """Raise BrokenActorFile for an actor whose `on_success` or `on_failure` nobody could take."""
    for actor, words in missing_callbacks(broker):
        function = inspect.unwrap(actor.fn)
        code = getattr(function, "__code__", None)  # a callable object has none
        where = f"{function.__module__.replace('.', '/')}.py"
        raise BrokenActorFile(
            f"{where}, line {code.co_firstlineno}: {words}" if code else f"{where}: {words}"
        )


def _sentence(error: Exception, module: str, folders: list[str]) -> str:
    file, line = _place(error, folders)
    where = f"actors/{file}, line {line}" if file else f"actors/{module}.py"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    first = text.strip().partition("\n")[0]
    if not isinstance(error, _WORDED) or not first:
        first = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return f"{where}: {first}"


def _place(error: Exception, folders: list[str]) -> tuple[str, int]:
    """The innermost line of somebody's actor file: where it can be mended."""
    places = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno or 0))
    roots = [Path(folder).resolve() for folder in folders]
    for name, line in reversed(places):
        path = Path(name)
        root = next((root for root in roots if path.is_relative_to(root)), None)
        if root is not None and path.stem not in {*_PARTS, "__init__"}:
            return str(path.relative_to(root)), line
    return "", 0
