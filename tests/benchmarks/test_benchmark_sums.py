"""The sums behind the table: ratios, percentiles, and the file's rows."""

import pytest

from benchmarks.measurement import Measurement, percentile
from benchmarks.results import make_row, number


def row(*, higher_is_better: bool) -> Measurement:
    return Measurement("row", "unit", higher_is_better, lambda side, turn: 1.0)


@pytest.mark.parametrize(("higher_is_better", "ours", "theirs"), [(True, 300.0, 100.0), (False, 2.0, 6.0)])
def test_a_ratio_of_three_means_three_times_better_for_rates_and_for_times(
    higher_is_better: bool, ours: float, theirs: float
) -> None:
    assert row(higher_is_better=higher_is_better).ratio(ours, theirs) == 3.0


def test_the_ratio_is_the_median_of_the_pairs_and_not_the_ratio_of_the_medians() -> None:
    """A slow minute of the machine strikes both values of a pair, so pairs are compared first."""
    made = make_row(row(higher_is_better=True), "none", [100, 400, 900], [100, 200, 100])

    assert (made.ours, made.theirs, made.ratio, made.rounds) == (400, 100, 2, 3)


def test_the_name_of_a_row_tells_a_durability_other_than_the_usual() -> None:
    assert make_row(row(higher_is_better=True), "everysec", [1], [1]).name == "row_everysec"


@pytest.mark.parametrize(("percent", "value"), [(95, 19.0), (99, 20.0), (50, 10.0)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile([float(n) for n in range(20, 0, -1)], percent) == value


@pytest.mark.parametrize(("value", "text"), [(12_345.6, "12,346"), (12.345, "12.3"), (1.234, "1.23")])
def test_numbers_are_printed_with_three_figures_or_their_whole_part(value: float, text: str) -> None:
    assert number(value) == text
