"""`python -m benchmarks`: measures every row, or some, and writes the tables and `results.json`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import dramatiq
import redis
from rich.console import Console

from benchmarks import middleware_cost
from benchmarks.ground import DURABILITIES, Ground, ground
from benchmarks.measurement import Measurement, Reading, Round
from benchmarks.plan import NAMES, plan, with_costs
from benchmarks.results import RESULTS, InvalidResults, Row, load, make_row, number, save, show
from benchmarks.sides import Side, SideFailed
from jobs.errors import CallboardError

#: Of the table when it goes into a file.
WIDTH = 140


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, 1 when a side failed (said in one sentence), 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    width = None if sys.stdout.isatty() else WIDTH
    console = Console(highlight=False, soft_wrap=True, width=width)
    try:
        load(options.results)  # say now that it cannot be added to
        signal.signal(signal.SIGTERM, _interrupt)
        with ground() as stand:
            tables = []
            for durability, measurements in plan(options.only, options.durability):
                stand.use(durability)
                rows = []
                for measurement in measurements:
                    rows.append(_row(measurement, durability, stand, options, console))
                    save(rows[-1], options.results)
                tables.append((rows, stand.facts(durability)))
            _report(tables, stand, console)
            if with_costs(options.only, options.durability):
                stand.use("none")
                middleware_cost.measure(
                    stand,
                    console,
                    options.results,
                    jobs=max(10, round(middleware_cost.JOBS * options.scale)),
                    rounds=max(1, round(middleware_cost.ROUNDS * options.scale)),
                )
    except KeyboardInterrupt:
        print("Stopped; the rows that were finished are saved.", file=sys.stderr)
        return 130
    except (SideFailed, InvalidResults, CallboardError) as error:
        print(f"The benchmark ended: {error}", file=sys.stderr)
        return 1
    return 0


def _row(
    measurement: Measurement, durability: str, stand: Ground, options: argparse.Namespace, console: Console
) -> Row:
    """One row: in every round each side once, and who begins changes from round to round."""
    sides: list[Side] = [stand.ours] if measurement.without_stock else [stand.ours, stand.stock]
    readings: dict[str, list[Reading]] = {stand.ours.name: [], stand.stock.name: []}
    for turn in range(measurement.rounds or options.rounds):
        for side in reversed(sides) if turn % 2 else sides:
            readings[side.name].append(_measured(measurement, side, Round(turn, options.scale, stand.home)))
        said = ", ".join(f"{side.name} {number(readings[side.name][-1].value)}" for side in sides)
        console.print(f"{measurement.name} round {turn + 1}: {said} {measurement.unit}", style="dim")
    return make_row(measurement, durability, readings[stand.ours.name], readings[stand.stock.name])


def _measured(measurement: Measurement, side: Side, turn: Round) -> Reading:
    try:
        return measurement.measure(side, turn)
    except (CallboardError, redis.RedisError, dramatiq.DramatiqError, OSError) as error:
        raise SideFailed(f"{side.name} failed in {measurement.name}: {error}") from error


def _report(tables: Sequence[tuple[Sequence[Row], str]], stand: Ground, console: Console) -> None:
    for rows, facts in tables:
        console.print()
        show(rows, facts, console)
    if stand.ours.audit_lag_s:
        console.print(
            f"Every job of a drain has its audit row; the last came at most {stand.ours.audit_lag_s:.1f} s "
            "after the last settlement."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", choices=NAMES, nargs="+", default=(), metavar="NAME", help="measure these rows alone"
    )
    parser.add_argument("--rounds", type=_at_least_one, default=5, help="rounds of each compared row (5)")
    parser.add_argument(
        "--durability", choices=DURABILITIES, help="one table alone: the server's persistence (both)"
    )
    # For the smoke test: less work, and not over the real file.
    parser.add_argument("--scale", type=float, default=1.0, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)
    return parser


def _at_least_one(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least one round is needed")
    return count


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
