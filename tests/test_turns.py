"""Tests that harm each other are not run at the same time."""

from pathlib import Path

from tests.turns import TOGETHER, unit_of

ROOT = Path(__file__).parent.parent


def test_measurements_have_one_process_together_and_faults_another() -> None:
    measured, other = "tests/broker/test_wakeup.py::TestB::test_c[x]", "tests/demo/test_demo.py::test_a"
    fault, stuck = "tests/faults/test_stops.py::test_a", "tests/middleware/test_stuck_jobs.py::test_b"
    assert unit_of(measured) == unit_of(other)
    assert unit_of(fault) == unit_of(stuck)
    assert unit_of(fault) != unit_of(measured)


def test_all_else_goes_file_by_file() -> None:
    one, other = "tests/broker/test_codec.py::test_a", "tests/broker/test_codec.py::TestB::test_c[x]"
    assert unit_of(one) == unit_of(other) == "tests/broker/test_codec.py"


def test_every_place_that_is_named_exists() -> None:
    places = [place for together in TOGETHER.values() for place in together]
    assert [place for place in places if not (ROOT / place).exists()] == []
