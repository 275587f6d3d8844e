"""What was measured: medians, the ratio, the JSON file and the table."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measurement import Measurement

RESULTS = Path(__file__).parent / "results.json"
RATIO = "The ratio is the median of the rounds' own ratios; above 1 ours is better, whatever the unit."


class InvalidResults(Exception):
    """The file is not ours to write into; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `ours` and `theirs` are medians; `raw` has every round's value, in order."""

    name: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    rounds: int
    raw: dict[str, list[float]]


def make_row(
    measurement: Measurement, durability: str, ours: Sequence[float], theirs: Sequence[float]
) -> Row:
    """A row of values that were measured in pairs. With a durability other than none the name says so."""
    suffix = "" if durability == "none" else f"_{durability}"
    return Row(
        name=measurement.name + suffix,
        unit=measurement.unit,
        ours=_rounded(median(ours)),
        theirs=_rounded(median(theirs)),
        ratio=_rounded(median(map(measurement.ratio, ours, theirs))),
        rounds=len(ours),
        raw={"ours": [*map(_rounded, ours)], "theirs": [*map(_rounded, theirs)]},
    )


def load(path: Path) -> list[dict[str, Any]]:
    """The rows of the file, none when there is no file. Raises InvalidResults."""
    try:
        rows = json.loads(path.read_text())
    except FileNotFoundError:
        return []
    except ValueError:
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "name" in row for row in rows):
        raise InvalidResults(f"{path} is no list of rows; remove it and measure again.")
    return rows


def save(row: Row, path: Path) -> None:
    """Put one row into the file, in place of the older one; the other rows stay. Raises InvalidResults."""
    rows = load(path)
    names = [old["name"] for old in rows]
    if row.name in names:
        rows[names.index(row.name)] = asdict(row)
    else:
        rows.append(asdict(row))
    new = path.with_suffix(".new")
    new.write_text(json.dumps(rows, indent=1) + "\n")
    new.replace(path)


def show(rows: Sequence[Row], facts: str, console: Console) -> None:
    """Print the table, what the ratio means and what machine it was."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("measured")
    for heading in ("ours", "stock", "unit", "ratio", "rounds"):
        table.add_column(heading, justify="left" if heading == "unit" else "right")
    for row in rows:
        table.add_row(
            row.name, number(row.ours), number(row.theirs), row.unit, f"{row.ratio:,.2f} ×", str(row.rounds)
        )
    console.print(table)
    console.print(f"{RATIO}\n{facts}")


def number(value: float) -> str:
    """As a person reads it: three figures or the whole part."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
