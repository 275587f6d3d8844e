"""What was measured: medians, the ratio, the target, the JSON file and the table."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measurement import Measurement, Reading

RESULTS = Path(__file__).parent / "results.json"
LEGEND = (
    "The ratio is the median of the rounds' own ratios; above 1 ours is better, whatever the unit. "
    "The spread is of these ratios, or of our values where there is no ratio."
)


class InvalidResults(Exception):
    """The file is not ours to write into; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `ours` and `theirs` are medians; `raw` has every round's value, in order, and `parts` medians
    of what is behind them. `theirs` and `ratio` are None where stock is not measured, as `note` says; with
    `at_least` nobody waited for stock to the end, and the true ones are higher."""

    name: str
    unit: str
    ours: float
    theirs: float | None
    ratio: float | None
    target: str
    reached: bool
    rounds: int
    at_least: bool
    note: str
    raw: dict[str, list[float]]
    parts: dict[str, dict[str, float]]


def make_row(
    measurement: Measurement, durability: str, ours: Sequence[Reading], theirs: Sequence[Reading] = ()
) -> Row:
    """A row of readings that were taken in pairs, or of ours alone. With a durability other than none the
    name says so."""
    suffix = "" if durability == "none" else f"_{durability}"
    raw = {"ours": _values(ours)}
    at_least = any(reading.at_least for reading in theirs)
    value = median(reading.value for reading in ours)
    ratio = None
    if theirs:
        raw["theirs"] = _values(theirs)
        raw["ratio"] = [measurement.ratio(a.value, b.value) for a, b in zip(ours, theirs, strict=True)]
        ratio = median(raw["ratio"])
    # What was only given up cannot count as ours.
    given_up = any(reading.at_least for reading in ours)
    return Row(
        name=measurement.name + suffix,
        unit=measurement.unit,
        ours=_rounded(value),
        theirs=_rounded(median(reading.value for reading in theirs)) if theirs else None,
        ratio=None if ratio is None else _rounded(ratio),
        target=str(measurement.target),
        reached=not given_up and measurement.target.reached(value, ratio),
        rounds=len(raw["ours"]),
        at_least=at_least,
        note=measurement.without_stock,
        raw={side: [*map(_rounded, values)] for side, values in raw.items()},
        parts={side: _parts(readings) for side, readings in (("ours", ours), ("theirs", theirs)) if readings},
    )


def load(path: Path) -> list[dict[str, Any]]:
    """The rows of the file, none when there is no file. Raises InvalidResults."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
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
    new.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(path)


def show(rows: Sequence[Row], facts: str, console: Console) -> None:
    """Print the table, what is behind its values, what the ratio means and what machine it was."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("measured")
    for heading in ("ours", "stock", "unit", "ratio", "rounds", "spread", "target", ""):
        table.add_column(heading, justify="left" if heading in {"unit", ""} else "right")
    for row in rows:
        table.add_row(
            row.name,
            number(row.ours),
            theirs(row),
            row.unit,
            "" if row.ratio is None else f"{'> ' if row.at_least else ''}{row.ratio:,.2f} ×",
            str(row.rounds),
            _spread(row),
            row.target,
            "reached" if row.reached else "missed",
        )
    console.print(table)
    for line in _behind(rows):
        console.print(line)
    console.print(f"{LEGEND}\n{facts}")


def theirs(row: Row) -> str:
    """Stock's value, as a person reads it."""
    if row.theirs is None:
        return "-"
    return f"{'> ' if row.at_least else ''}{number(row.theirs)}"


def number(value: float) -> str:
    """As a person reads it: three figures or the whole part."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def _values(readings: Sequence[Reading]) -> list[float]:
    """Every round's; of a single round, what its value is the median of."""
    if len(readings) == 1 and readings[0].raw:
        return list(readings[0].raw)
    return [reading.value for reading in readings]


def _parts(readings: Sequence[Reading]) -> dict[str, float]:
    return {name: _rounded(median(reading.parts[name] for reading in readings)) for name in readings[0].parts}


def _spread(row: Row) -> str:
    values = row.raw.get("ratio", row.raw["ours"])
    return f"{number(min(values))} … {number(max(values))}" if len(values) > 1 else ""


def _behind(rows: Sequence[Row]) -> Iterable[str]:
    for row in rows:
        for side, parts in row.parts.items():
            if parts:
                said = ", ".join(f"{name} {number(value)}" for name, value in parts.items())
                yield f"{row.name}, {'ours' if side == 'ours' else 'stock'}: {said}"
        if row.note:
            yield f"{row.name}: without stock, because {row.note}"


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
