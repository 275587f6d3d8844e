"""`python -m benchmarks` from outside: tiny runs of the real thing, and the file that they leave."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run(results: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "--results", results, "--scale", "0.02", *options],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(results.parent)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_row_says_how_many_times_better_ours_is_with_every_value_behind_it(tmp_path: Path) -> None:
    """Two rounds: the medians and the ratio follow from the raw values of both sides."""
    results = tmp_path / "results.json"

    finished = run(results, "--only", "single_enqueue", "--rounds", "2")

    assert finished.returncode == 0, finished.stderr
    (row,) = json.loads(results.read_text())
    assert set(row) == {"name", "unit", "ours", "theirs", "ratio", "rounds", "raw"}
    assert (row["name"], row["unit"], row["rounds"]) == ("single_enqueue", "jobs/s", 2)
    ours, theirs = row["raw"]["ours"], row["raw"]["theirs"]
    assert len(ours) == len(theirs) == 2
    assert min(*ours, *theirs) > 0
    assert abs(row["ours"] - sum(ours) / 2) / row["ours"] < 0.001
    assert abs(row["ratio"] - (ours[0] / theirs[0] + ours[1] / theirs[1]) / 2) / row["ratio"] < 0.001
    assert "single_enqueue" in finished.stdout
    assert "above 1 ours is better" in finished.stdout


def test_one_row_replaces_its_older_self_and_keeps_the_others(tmp_path: Path) -> None:
    """`--only` measures one row; the file is still a whole table afterwards."""
    results = tmp_path / "results.json"
    other: dict[str, Any] = {"name": "drain_1p", "unit": "jobs/s", "ours": 2.0, "theirs": 1.0}
    older: dict[str, Any] = {"name": "send_many_1000", "unit": "jobs/s", "ours": 0.5, "theirs": 1.0}
    results.write_text(json.dumps([older, other]))

    finished = run(results, "--only", "send_many_1000", "--rounds", "1")

    assert finished.returncode == 0, finished.stderr
    measured, kept = json.loads(results.read_text())
    assert measured["name"] == "send_many_1000"
    assert measured["ours"] > 0.5
    assert kept == other


def test_nothing_is_left_behind_in_the_temporary_folder(tmp_path: Path) -> None:
    results = tmp_path / "results.json"

    finished = run(results, "--only", "single_enqueue", "--rounds", "1")

    assert finished.returncode == 0, finished.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_row_that_does_not_exist_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    finished = run(tmp_path / "results.json", "--only", "drain")

    assert finished.returncode == 2
    assert "drain_1p" in finished.stderr


def test_a_file_that_is_no_table_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    results.write_text("{")

    finished = run(results, "--only", "single_enqueue", "--rounds", "1")

    assert finished.returncode == 1
    assert "remove it and measure again" in finished.stderr
    assert finished.stdout == ""
    assert results.read_text() == "{"
