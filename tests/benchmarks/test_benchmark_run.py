"""`python -m benchmarks` from outside: tiny runs of the real thing, and the file that they leave.

The rows that start workers mostly wait for them to stop, so they are run side by side.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
#: Each in a process of its own.
SIDE_BY_SIDE = (
    ("cpu_us_per_job", "idle_commands_s"),
    ("delayed_lateness_p99", "backlog_drain", "bytes_per_job", "statistics_ms"),
    ("recovery_s",),
    ("fairness_job_times",),
)


def start(results: Path, *options: str, scale: float = 0.02) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--results", results, "--scale", str(scale), *options],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(results.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(results: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    process = start(results, *options)
    out, err = process.communicate(timeout=280)
    return subprocess.CompletedProcess(options, process.returncode, out, err)


def processes_of(folder: Path) -> list[int]:
    """Those that were told to keep their temporary files there."""
    return [
        int(file.parent.name)
        for file in Path("/proc").glob("[0-9]*/environ")
        if os.fsencode(folder) in _read(file)
    ]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has ended
        return b""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every row that is not compared in five rounds of seconds, by its name."""
    folders = [tmp_path_factory.mktemp(names[0]) for names in SIDE_BY_SIDE]
    started = [
        start(folder / "results.json", "--rounds", "1", "--only", *names, scale=0.002)
        for folder, names in zip(folders, SIDE_BY_SIDE, strict=True)
    ]
    ended = [(process, *process.communicate(timeout=280)) for process in started]
    rows: dict[str, dict[str, Any]] = {}
    for folder, (process, out, err) in zip(folders, ended, strict=True):
        assert process.returncode == 0, out + err
        rows |= {row["name"]: row for row in json.loads((folder / "results.json").read_text())}
        assert [path.name for path in folder.iterdir()] == ["results.json"]
        assert processes_of(folder) == []
    return rows


def test_the_cpu_of_a_job_is_that_of_the_worker_and_of_the_server(measured: dict[str, Any]) -> None:
    row = measured["cpu_us_per_job"]

    for side, value in (("ours", row["ours"]), ("theirs", row["theirs"])):
        parts = row["parts"][side]
        assert min(parts["worker"], parts["server"]) > 0
        assert abs(parts["worker"] + parts["server"] - value) < 0.1
    assert row["target"] == "≥ 2 ×"


def test_an_idle_worker_asks_less_often_than_one_that_polls_forty_queues(measured: dict[str, Any]) -> None:
    row = measured["idle_commands_s"]

    assert row["ours"] < 10
    assert row["theirs"] > 2 * max(row["ours"], 1)  # some eighty; of a busy machine they get less
    assert set(row["parts"]["ours"]) == {"server CPU ms/s", "worker CPU ms/s"}


def test_a_delayed_job_starts_when_it_is_due_and_not_before(measured: dict[str, Any]) -> None:
    row = measured["delayed_lateness_p99"]

    assert -1 < row["ours"] < 30_000  # in ms: some tens where there is nothing else to do
    assert (row["theirs"], row["ratio"]) == (None, None)
    assert "own memory" in row["note"]


def test_a_long_queue_is_compared_with_a_short_one(measured: dict[str, Any]) -> None:
    row = measured["backlog_drain"]

    assert row["ours"] > 0
    assert min(row["parts"]["ours"][f"{queue} jobs/s"] for queue in ("long", "short")) > 0
    assert row["target"] == "≥ 0.9"


def test_a_waiting_job_takes_more_memory_than_its_text_on_both_sides(measured: dict[str, Any]) -> None:
    row = measured["bytes_per_job"]

    assert 200 < row["ours"] < 2_000
    assert 200 < row["theirs"] < 2_000


def test_a_job_of_a_lost_host_starts_again_here_and_not_in_time_on_stock(measured: dict[str, Any]) -> None:
    row = measured["recovery_s"]

    assert 0 < row["ours"] < row["theirs"]
    assert row["parts"]["ours"]["worker alone"] > 0
    assert row["at_least"]


def test_a_single_job_is_timed_behind_three_floods(measured: dict[str, Any]) -> None:
    row = measured["fairness_job_times"]

    waits = row["parts"]["ours"]
    assert set(waits) == {"one flood", "1,000 tenants", "priority 1, tenants first"}
    assert row["ours"] == max(waits.values())
    assert min(waits.values()) > 0


def test_statistics_are_timed_over_jobs_in_all_states(measured: dict[str, Any]) -> None:
    row = measured["statistics_ms"]

    assert row["ours"] >= row["parts"]["ours"]["median"] > 0
    assert 10_000 < row["parts"]["ours"]["waiting"] < 20_000


def test_a_row_says_how_many_times_better_ours_is_with_every_value_behind_it(tmp_path: Path) -> None:
    """Two rounds: the medians and the ratio follow from the raw values of both sides. Nothing is left in
    the temporary folder."""
    results = tmp_path / "results.json"

    finished = run(results, "--only", "single_enqueue", "--rounds", "2")

    assert finished.returncode == 0, finished.stderr
    (row,) = json.loads(results.read_text())
    assert (row["name"], row["unit"], row["rounds"]) == ("single_enqueue", "jobs/s", 2)
    assert (row["target"], row["note"], row["at_least"]) == ("≥ 1.5 ×", "", False)
    ours, theirs = row["raw"]["ours"], row["raw"]["theirs"]
    assert len(ours) == len(theirs) == 2
    assert min(*ours, *theirs) > 0
    assert abs(row["ours"] - sum(ours) / 2) / row["ours"] < 0.001
    assert abs(row["ratio"] - (ours[0] / theirs[0] + ours[1] / theirs[1]) / 2) / row["ratio"] < 0.001
    assert row["reached"] is (row["ratio"] >= 1.5)
    assert "single_enqueue" in finished.stdout
    assert "above 1 ours is better" in finished.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_one_row_replaces_its_older_self_and_keeps_the_others(tmp_path: Path) -> None:
    """`--only` measures one row, here with AOF; the file is still a whole table afterwards."""
    results = tmp_path / "results.json"
    other: dict[str, Any] = {"name": "send_many_1000", "unit": "jobs/s", "ours": 2.0, "theirs": 1.0}
    older: dict[str, Any] = {"name": "send_many_1000_everysec", "unit": "jobs/s", "ours": 0.5, "theirs": 1.0}
    results.write_text(json.dumps([older, other]))

    finished = run(results, "--only", "send_many_1000", "--durability", "everysec", "--rounds", "1")

    assert finished.returncode == 0, finished.stderr
    measured, kept = json.loads(results.read_text())
    assert measured["name"] == "send_many_1000_everysec"
    assert measured["ours"] > 0.5
    assert kept == other
    assert "AOF every second" in finished.stdout


def test_a_row_that_does_not_exist_is_refused_with_the_names_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--only", "drain"])

    assert refused.value.code == 2
    assert "drain_1p" in capsys.readouterr().err


def test_a_file_that_is_no_table_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.json"
    results.write_text("{")

    assert main(["--only", "single_enqueue", "--results", str(results)]) == 1

    said = capsys.readouterr()
    assert "remove it and measure again" in said.err
    assert said.out == ""
    assert results.read_text() == "{"
