"""The sums behind the tables: ratios, percentiles, targets, and the file's rows."""

from typing import Any

import pytest
from rich.console import Console

from benchmarks.drain import rate
from benchmarks.measurement import Measurement, Reading, Target, percentile
from benchmarks.plan import MEASUREMENTS, NAMES, WRITING, plan
from benchmarks.results import Row, make_row, number, show, theirs


def measurement(higher_is_better: bool = True, target: Target | None = None, **more: Any) -> Measurement:
    target = target or Target()
    return Measurement("row", "unit", higher_is_better, target, lambda side, turn: Reading(1.0), **more)


def readings(*values: float) -> list[Reading]:
    return [Reading(value) for value in values]


def shown(row: Row) -> str:
    console = Console(width=140)
    with console.capture() as capture:
        show([row], "the machine", console)
    return capture.get()


@pytest.mark.parametrize(("higher_is_better", "ours", "theirs"), [(True, 300.0, 100.0), (False, 2.0, 6.0)])
def test_a_ratio_of_three_means_three_times_better_for_rates_and_for_times(
    higher_is_better: bool, ours: float, theirs: float
) -> None:
    assert measurement(higher_is_better).ratio(ours, theirs) == 3.0


def test_the_ratio_is_the_median_of_the_pairs_and_not_the_ratio_of_the_medians() -> None:
    """A slow minute of the machine strikes both values of a pair, so pairs are compared first."""
    made = make_row(measurement(), "none", readings(100, 400, 900), readings(100, 200, 100))

    assert (made.ours, made.theirs, made.ratio, made.rounds) == (400, 100, 2, 3)
    assert made.raw["ratio"] == [1, 2, 9]
    assert "1.00 … 9.00" in shown(made)


@pytest.mark.parametrize(
    ("target", "ours", "ratio", "reached"),
    [
        (Target(ratio=4), 1.0, 4.0, True),
        (Target(ratio=4), 1.0, 3.99, False),
        (Target(ratio=4), 1.0, None, False),
        (Target(least=0.9), 0.9, None, True),
        (Target(least=0.9), 0.89, None, False),
        (Target(most=600), 600.0, None, True),
        (Target(most=600), 601.0, None, False),
        (Target(under=20), 19.9, None, True),
        (Target(under=20), 20.0, None, False),
        (Target(under=4, ratio=100), 3.0, 99.0, False),
        (Target(under=4, ratio=100), 4.5, 200.0, False),
        (Target(under=4, ratio=100), 3.0, 100.0, True),
    ],
)
def test_a_target_is_reached_when_all_that_it_asks_for_is(
    target: Target, ours: float, ratio: float | None, reached: bool
) -> None:
    assert target.reached(ours, ratio) is reached


def test_a_row_says_its_target_and_whether_it_was_reached() -> None:
    reached = make_row(measurement(target=Target(ratio=2, under=5)), "none", readings(4), readings(2))
    missed = make_row(measurement(target=Target(ratio=2.5)), "none", readings(4), readings(2))

    assert (reached.target, reached.reached) == ("≥ 2 ×, < 5", True)
    assert (missed.target, missed.reached) == ("≥ 2.5 ×", False)
    assert "reached" in shown(reached)
    assert "missed" in shown(missed)


def test_a_row_of_ours_alone_has_no_ratio_and_says_why() -> None:
    row = measurement(target=Target(least=0.9), without_stock="it has none")

    made = make_row(row, "none", [Reading(0.95, {"long": 19.0}, raw=(0.9, 0.95, 1.0))])

    assert (made.theirs, made.ratio, made.reached) == (None, None, True)
    assert made.raw == {"ours": [0.9, 0.95, 1.0]}
    assert made.parts == {"ours": {"long": 19.0}}
    assert "row: without stock, because it has none" in shown(made)


def test_where_nobody_waited_for_stock_to_the_end_its_value_and_the_ratio_are_lower_bounds() -> None:
    made = make_row(measurement(False), "none", [Reading(15.0)], [Reading(60.0, at_least=True)])

    assert made.at_least
    assert theirs(made) == "> 60.0"
    assert "> 4.00 ×" in shown(made)


def test_what_was_given_up_on_our_side_never_reaches_a_target() -> None:
    made = make_row(measurement(target=Target(under=90)), "none", [Reading(60.0, at_least=True)])

    assert not made.reached


def test_the_parts_of_a_row_are_medians_of_each_sides_rounds() -> None:
    ours = [Reading(1.0, {"worker": part, "server": 10.0}) for part in (70.0, 90.0, 80.0)]

    made = make_row(measurement(), "none", ours, readings(1, 1, 1))

    assert made.parts == {"ours": {"worker": 80.0, "server": 10.0}, "theirs": {}}


def test_the_name_of_a_row_tells_a_durability_other_than_the_usual() -> None:
    assert make_row(measurement(), "everysec", readings(1), readings(1)).name == "row_everysec"


def test_a_run_makes_a_table_of_all_rows_and_one_of_the_writing_rows_with_aof() -> None:
    assert plan((), None) == [("none", list(MEASUREMENTS)), ("everysec", list(WRITING))]
    assert plan((), "everysec") == [("everysec", list(WRITING))]
    assert plan((), "none") == [("none", list(MEASUREMENTS))]


def test_named_rows_make_one_table() -> None:
    ((durability, rows),) = plan(["statistics_ms", "drain_1p"], None)

    assert (durability, [row.name for row in rows]) == ("none", ["drain_1p", "statistics_ms"])
    assert plan(["drain_1p"], "everysec")[0][0] == "everysec"


def test_every_row_has_a_name_of_its_own_and_a_target() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(str(row.target) for row in MEASUREMENTS)


@pytest.mark.parametrize(("percent", "value"), [(95, 19.0), (99, 20.0), (50, 10.0)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile([float(n) for n in range(20, 0, -1)], percent) == value


def test_a_rate_is_that_of_the_window_and_not_of_what_lies_around_it() -> None:
    """Ten seconds of start, then 100 jobs a second, then a straggler."""
    samples = [(0.0, 0), (10.0, 0), (11.0, 100), (12.0, 200), (60.0, 201)]

    assert rate(samples, 50, 150) == 100


@pytest.mark.parametrize(("value", "text"), [(12_345.6, "12,346"), (12.345, "12.3"), (1.234, "1.23")])
def test_numbers_are_printed_with_three_figures_or_their_whole_part(value: float, text: str) -> None:
    assert number(value) == text
