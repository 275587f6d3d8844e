"""What each place of the stack costs: `python -m benchmarks.middleware_cost`, the last table of `make bench`.

The whole stack and the same without one place take turns of some hundred jobs, the place between two turns of
the whole; what the place costs is the median of the differences. A place that is off by default is added to
the whole instead. The CPU is that of one thread that does all the work of a job (`one_thread`); the server's
is not in it.
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.ground import Ground, ground
from benchmarks.one_thread import Cost, OneThread
from benchmarks.plan import COSTS
from benchmarks.results import RESULTS, InvalidResults, Row, load, save
from benchmarks.sides import SideFailed
from jobs.errors import CallboardError

if TYPE_CHECKING:
    from settings import Settings

#: Jobs of one turn, and how many turns each place has.
JOBS, ROUNDS = 200, 50
#: Of places that are off by default, what switches them on. Nothing listens there: measured is what a job
#: pays, not the thread that sends the spans on.
SWITCHED_ON: Mapping[str, tuple[str, dict[str, Any]]] = {
    "telemetry": ("telemetry", {"otlp_endpoint": "http://127.0.0.1:9"}),
    "metrics": ("telemetry", {"metrics_port": 9}),
    "alerts": ("sentry", {"dsn": "http://key@127.0.0.1:9/1"}),
}
SIGNED, ENCRYPTED = "sealing: signed", "sealing: encrypted"
ADDED = "off by default"
INSTEAD = "beside neither"
HEADING = "CPU of one job, in µs"


@dataclass(slots=True)
class Place:
    """What is measured: a stack, and the other one that it takes turns with. `less`: it lacks the place.

    What is written costs the same with and without all other places, so it counts for the audit alone.
    """

    name: str
    stack: OneThread
    other: OneThread
    less: bool
    note: str = ""
    costs: list[Cost] = field(default_factory=list)

    def turn(self, jobs: int, before: Cost | None) -> Cost:
        """One turn between two of the other stack: `before` is the first of these, the second is returned."""
        before = before or self.other.turn(jobs)
        own, after = self.stack.turn(jobs), self.other.turn(jobs)
        sign = -1 if self.less else 1
        more = [sign * (mine - (one + two) / 2) for mine, one, two in zip(own, before, after, strict=True)]
        self.costs.append(Cost(more[0], more[1], more[2] if self.name == "audit" else 0.0))
        return after

    @property
    def cost(self) -> Cost:
        """The medians."""
        return Cost(*map(median, zip(*self.costs, strict=True)))

    @property
    def sums(self) -> list[float]:
        return [sum(cost) for cost in self.costs]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, 1 when something failed (said in one sentence), 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        load(options.results)
        with ground() as stand:
            measure(stand, console, options.results, jobs=options.jobs, rounds=options.rounds)
    except KeyboardInterrupt:
        return 130
    except (SideFailed, InvalidResults, CallboardError) as error:
        print(f"The benchmark ended: {error}", file=sys.stderr)
        return 1
    return 0


def measure(
    stand: Ground, console: Console, results: Path, *, jobs: int = JOBS, rounds: int = ROUNDS
) -> None:
    """Measure every place, print the table and save its rows. Raises SideFailed."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # a line for each of the first jobs of a second
    try:
        whole, places = _stacks(stand, jobs)
        whole_costs: list[Cost] = []
        stacks = {id(stack): stack for place in places for stack in (place.stack, place.other)}
        for _ in track(range(rounds), COSTS, console=console, transient=True):
            stand.ours.clear()  # or the server would come to hold half a million jobs
            for stack in stacks.values():
                stack.start()
            other, last = whole, None
            for place in places:
                last = place.turn(jobs, last if place.other is other else None)
                other = place.other
            whole_costs.append(whole.turn(jobs))
    finally:
        logging.disable(before)
    for place in places:
        save(_row(place), results)
    _show(places, Cost(*map(median, zip(*whole_costs, strict=True))), jobs, console)


def _stacks(stand: Ground, jobs: int) -> tuple[OneThread, list[Place]]:
    from actors.composition import compose
    from middleware.stack import STACK

    settings = stand.ours.app.settings
    stand.ours.clear()

    def made(chosen: "Settings", *, sealed: bool = True) -> OneThread:
        app = compose(chosen)
        if not sealed:
            app.broker.codec.seal = None
        stack = OneThread(app)
        stack.start()
        stack.turn(jobs)  # what only the first jobs pay
        return stack

    whole = made(settings)
    places = [
        Place(name, made(_with(settings, *SWITCHED_ON[name])), whole, less=False, note=ADDED)
        if (name := place.name) in SWITCHED_ON
        else Place(name, made(_with(settings, "middleware", {"without": [name]})), whole, less=True)
        for place in STACK
    ]
    clear = made(settings, sealed=False)
    encrypted = made(_with(settings, "queue_defaults", {"encryption": True}))
    places += [
        Place(SIGNED, whole, clear, less=False, note=INSTEAD),
        Place(ENCRYPTED, encrypted, clear, less=False, note=INSTEAD),
    ]
    return whole, places


def _with(settings: "Settings", section: str, changes: Mapping[str, Any]) -> "Settings":
    """The settings with a section of theirs changed, checked as if it had been written so."""
    kind = type(getattr(settings, section))
    old = getattr(settings, section).model_dump(exclude_unset=True)
    return settings.model_copy(update={section: kind.model_validate({**old, **changes})})


def _row(place: Place) -> Row:
    return Row(
        name=f"{COSTS} {place.name}",
        unit="µs",
        ours=round(median(place.sums), 2),
        theirs=None,
        ratio=None,
        target="",
        reached=True,
        rounds=len(place.sums),
        at_least=False,
        note=place.note,
        raw={"ours": [round(value, 2) for value in place.sums]},
        parts={"ours": {name: round(value, 2) for name, value in place.cost._asdict().items()}},
    )


def _show(places: Sequence[Place], whole: Cost, jobs: int, console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", title=HEADING, title_justify="left")
    table.add_column("place")
    for heading in ("send", "run", "write", "all", "middle half"):
        table.add_column(heading, justify="right")
    table.add_column("", no_wrap=True)
    for place in places:
        low, _, high = quantiles(place.sums, n=4) if len(place.sums) > 1 else place.sums * 3
        cells = [f"{value:.1f}" for value in (*place.cost, median(place.sums))]
        table.add_row(place.name, *cells, f"{low:.1f} … {high:.1f}", place.note)
    console.print(table)
    turns = len(places[0].costs)
    console.print(
        f"The whole stack: {whole.send:.0f} to send, {whole.run:.0f} to run, {whole.write:.0f} to write. "
        f"Medians of {turns} turns of {jobs} jobs, each between two turns of the other stack."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.middleware_cost", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"jobs of one turn ({JOBS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns of each place ({ROUNDS})")
    parser.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
