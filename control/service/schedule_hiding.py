"""What of a schedule's arguments a person may see."""

from typing import TYPE_CHECKING, Any

import orjson

from control.service.reading import PRIVATE

if TYPE_CHECKING:
    from actors.composition import App
    from scheduling.book import Entry


def shown_arguments(app: "App", entry: "Entry") -> dict[str, Any]:
    """The arguments by name, without the values of private parameters; of an actor that is not here without
    all that is encrypted in the table."""
    if entry.schedule is None:
        return {}
    args, actor = entry.schedule.args, entry.schedule.actor
    if actor in app.broker.actors:
        hidden = app.contract(actor).private
    else:
        hidden = frozenset(args) if hides_arguments(entry) else frozenset()
    return {name: PRIVATE if name in hidden else value for name, value in args.items()}


def hides_arguments(entry: "Entry") -> bool:
    """Whether some of them must not be shown."""
    if entry.private:
        return True
    from scheduling.documents import SEALED

    return entry.row.document is not None and SEALED in orjson.loads(entry.row.document)
