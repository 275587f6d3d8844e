"""`python -m benchmarks`: measures every row, or one, and writes the table and `results.json`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import dramatiq
import redis
from rich.console import Console

from benchmarks.delayed_lateness import DELAYED_LATENESS
from benchmarks.drain import DRAIN_1P, DRAIN_2P
from benchmarks.ground import DURABILITIES, Ground, ground
from benchmarks.idle_pickup import IDLE_PICKUP
from benchmarks.measurement import Measurement, Round
from benchmarks.results import RESULTS, InvalidResults, Row, load, make_row, number, save, show
from benchmarks.send_many import SEND_MANY
from benchmarks.sides import Side, SideFailed
from benchmarks.single_enqueue import SINGLE_ENQUEUE
from jobs.errors import CallboardError

MEASUREMENTS = (SINGLE_ENQUEUE, SEND_MANY, DRAIN_1P, DRAIN_2P, IDLE_PICKUP, DELAYED_LATENESS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, 1 when a side failed (said in one sentence), 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    chosen = [row for row in MEASUREMENTS if options.only in (None, row.name)]
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(highlight=False, soft_wrap=True)
    try:
        load(options.results)  # say now that it cannot be added to
        with ground(options.durability) as stand:
            rows = []
            for measurement in chosen:
                rows.append(_row(measurement, stand, options, console))
                save(rows[-1], options.results)
            _report(rows, stand, console)
    except KeyboardInterrupt:
        print("Stopped; the rows that were finished are saved.", file=sys.stderr)
        return 130
    except (SideFailed, InvalidResults, CallboardError) as error:
        print(f"The benchmark ended: {error}", file=sys.stderr)
        return 1
    return 0


def _row(measurement: Measurement, stand: Ground, options: argparse.Namespace, console: Console) -> Row:
    """One row: in every round each side once, and who begins changes from round to round."""
    values: dict[str, list[float]] = {stand.ours.name: [], stand.stock.name: []}
    for turn in range(options.rounds):
        sides: list[Side] = [stand.ours, stand.stock]
        for side in reversed(sides) if turn % 2 else sides:
            values[side.name].append(_measured(measurement, side, Round(turn, options.scale, stand.home)))
        ours, theirs = (number(values[side.name][-1]) for side in sides)
        console.print(
            f"{measurement.name} round {turn + 1}: ours {ours}, stock {theirs} {measurement.unit}",
            style="dim",
        )
    return make_row(measurement, options.durability, values[stand.ours.name], values[stand.stock.name])


def _measured(measurement: Measurement, side: Side, turn: Round) -> float:
    try:
        return measurement.measure(side, turn)
    except (CallboardError, redis.RedisError, dramatiq.DramatiqError, OSError) as error:
        raise SideFailed(f"{side.name} failed in {measurement.name}: {error}") from error


def _report(rows: Sequence[Row], stand: Ground, console: Console) -> None:
    console.print()
    show(rows, stand.facts, console)
    if stand.ours.audit_lag_s:
        console.print(
            f"Every job of a drain has its audit row; the last came at most {stand.ours.audit_lag_s:.1f} s "
            "after the last settlement."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=[row.name for row in MEASUREMENTS], help="measure this row alone")
    parser.add_argument("--rounds", type=_at_least_one, default=5, help="rounds of each row (5)")
    parser.add_argument(
        "--durability", choices=DURABILITIES, default="none", help="the server's persistence (none)"
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
