"""`python -m tests.faults.scheduler_process`: the real scheduler on the actors of the faults' tests.

The environment variable FAULTS may name a step at which it dies, or stands still, as if somebody had done
that to it just there. Only tests set it.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

import scheduling.keeper
import scheduling.process
import scheduling.rounds
from database.scheduler_lease import SchedulerLease
from database.schedules import Schedules
from jobs.errors import CallboardError
from jobs.schedules import CatchUp, Schedule, Source
from jobs.times.intervals import Every
from jobs.times.plan import Plan
from scheduling.keeper import Keeper
from scheduling.process import run_scheduler
from tests.faults.subjects import app, quick, slow, told

#: The first time round a scheduler is to have fired something before it happens.
_rounds = [0]


#: Held by the keeper while it may be writing. A process that stands still in the middle of that keeps a
#: SQLite file locked, for everybody and for ever, which no other process can help.
_writing = threading.Lock()
_goes_on = threading.Event()


def strike() -> None:
    """Once: a process that was stopped goes on afterwards."""
    _rounds[0] += 1
    if _rounds[0] != told["round"]:
        return
    if not told["freeze"]:
        os.kill(os.getpid(), signal.SIGKILL)
    with _writing:
        os.kill(os.getpid(), signal.SIGSTOP)
        _goes_on.wait()  # this thread may run on for a moment


def look_unless_it_stands_still(keeper: Keeper, look: Callable[[Keeper], None] = Keeper.look) -> None:
    with _writing:
        look(keeper)


def around(place: Any, name: str, *, before: bool, counts: Callable[[tuple[Any, ...], Any], bool]) -> None:
    """Strike before a call, or after one that counts."""
    call = getattr(place, name)

    def struck(*args: Any, **more: Any) -> Any:
        if before and counts(args, None):
            strike()
        result = call(*args, **more)
        if not before and counts(args, result):
            strike()
        return result

    setattr(place, name, struck)


def some_ticks(args: tuple[Any, ...], result: Any) -> bool:
    return bool(args[1])


def always(args: tuple[Any, ...], result: Any) -> bool:
    return True


def wedged() -> None:
    """Firing never comes back, and that is noticed soon."""
    scheduling.process.WEDGED_S = 3.0
    vars(scheduling.rounds)["fire_many"] = lambda *args: threading.Event().wait()


def broken() -> None:
    """Firing raises what nobody has thought of."""
    vars(scheduling.rounds)["fire_many"] = lambda *args: [][0]


STEPS: dict[str, Callable[[], None]] = {
    "the ticks are read": lambda: around(scheduling.rounds, "fire_many", before=True, counts=some_ticks),
    "the jobs are enqueued": lambda: around(scheduling.rounds, "fire_many", before=False, counts=some_ticks),
    "the cursors are stored": lambda: around(Schedules, "advance", before=False, counts=always),
    "the lease is taken": lambda: around(
        SchedulerLease, "take", before=False, counts=lambda _, got: bool(got)
    ),
    "the lease is given up": lambda: around(SchedulerLease, "release", before=False, counts=always),
    "it is wedged": wedged,
    "it is broken": broken,
}

if __name__ == "__main__":
    app.settings = app.settings.model_copy(update={"schedules": {}})  # none of those that come with it
    if told.get("database"):
        database = app.settings.database.model_copy(update={"url": SecretStr(told["database"])})
        app.settings = app.settings.model_copy(update={"database": database})
    for seconds, actor in enumerate((quick, slow), start=1):
        name = actor.actor_name
        actor.options["schedule"] = Schedule(
            name, name, Plan(Every(seconds)), {"n": seconds}, catch_up=CatchUp.ALL, source=Source.CODE
        )
    signal.signal(signal.SIGCONT, lambda number, frame: _goes_on.set())
    vars(scheduling.keeper)["Keeper"].look = look_unless_it_stands_still
    if told["trap"]:
        STEPS[told["trap"]]()
    try:
        sys.exit(run_scheduler(app))
    except CallboardError as error:
        sys.exit(str(error))
