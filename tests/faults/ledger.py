"""What really happened, noted by those who did it, and the proof that it adds up.

Actors and producers append lines to one file (O_APPEND, one write each), so it survives whatever is done to
them. `settle_accounts` compares it with what the store and the audit say in the end.
"""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine, text

from jobs.model import Job
from jobs.states import JobState

#: Outcomes after which a job may run once more.
GOES_ON = ("retry", "lost", "interrupted")


class Line(NamedTuple):
    """`at` is monotonic seconds, which all processes of a machine share, whatever their clocks say."""

    at: float
    word: str  # tried, accepted, removed; started, then ended, stopped (it raised) or held
    job_id: str
    pid: int
    token: int
    attempt: int


class Writer:
    def __init__(self, home: Path) -> None:
        self._file = os.open(home / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, word: str, *job_ids: str, token: int = 0, attempt: int = 0) -> None:
        head, tail = f"{time.monotonic():.6f} {word}", f"{os.getpid()} {token} {attempt}\n"
        os.write(self._file, "".join(f"{head} {job_id} {tail}" for job_id in job_ids).encode())

    def close(self) -> None:
        os.close(self._file)


def read_ledger(home: Path) -> list[Line]:
    try:
        lines = (home / "ledger").read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    parts = [line.split() for line in lines if line.endswith("\n")]
    return [Line(float(at), word, i, int(pid), int(n), int(a)) for at, word, i, pid, n, a in parts]


@dataclass
class Run:
    """One delivery of a job that reached the actor. `end` is None when its process died in it."""

    job_id: str
    token: int
    attempt: int
    pid: int
    start: float
    end: float | None = None
    word: str = ""


def runs_in(lines: Iterable[Line]) -> list[Run]:
    """In the order of their starts."""
    runs: list[Run] = []
    last: dict[tuple[str, int, int], Run] = {}
    for line in lines:
        key = (line.job_id, line.token, line.pid)
        if line.word == "started":
            last[key] = Run(line.job_id, line.token, line.attempt, line.pid, line.at)
            runs.append(last[key])
        elif key in last:
            last[key].end, last[key].word = line.at, line.word
    return runs


class Row(NamedTuple):
    """What the audit says of one delivery."""

    job_id: str
    token: int
    attempt: int
    outcome: str
    state: str
    owner: str
    at: float  # seconds since 1970, by the server's clock


def read_audit(engine: Engine) -> list[Row]:
    query = "select job_id, token, attempt, outcome, state, worker, finished_at from job_executions"
    with engine.connect() as connection:
        return [
            Row(i, token, attempt, outcome, state, owner or "", _seconds(at))
            for i, token, attempt, outcome, state, owner, at in connection.execute(text(query))
        ]


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()


@dataclass
class Balance:
    """`repeated` are runs after one whose lease was lost, `leases_lost` the lost ones that the audit has."""

    accepted: int
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    repeated: int = 0
    leases_lost: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.stuck or self.wrong)

    def __str__(self) -> str:
        line = (
            f"accepted {self.accepted:,}, lost {len(self.lost)}, stuck {len(self.stuck)}, "
            f"duplicates {self.repeated} (leases truly lost {self.leases_lost})"
        )
        return f"{line}, wrong {len(self.wrong)}" if self.wrong else line

    def details(self) -> str:
        return "\n".join(
            [*(f"lost: {i}" for i in self.lost), *(f"stuck: {i}" for i in self.stuck), *self.wrong]
        )


def settle_accounts(
    lines: Sequence[Line],
    jobs: Mapping[str, Job],
    rows: Sequence[Row],
    excused: Callable[[Row], bool] = lambda row: True,
) -> Balance:
    """`jobs` is all that the store has, `excused` whether a lease had a reason to be lost."""
    accepted = {line.job_id for line in lines if line.word == "accepted"}
    balance = Balance(len(accepted))
    removed = {line.job_id for line in lines if line.word == "removed"}
    balance.lost = sorted(accepted - removed - jobs.keys())
    balance.stuck = sorted(i for i, job in jobs.items() if not job.state.settled)
    of_job: dict[str, dict[int, Row]] = defaultdict(dict)
    before_a_start: dict[str, Row] = {}  # the last cancel of a job that had not started, or not again
    for row in sorted(rows, key=lambda row: row.token):
        if row.attempt == 0 and row.outcome == "cancelled":
            before_a_start[row.job_id] = row
            continue
        if row.token in of_job[row.job_id]:
            balance.wrong.append(f"{row.job_id}: two rows for delivery {row.token}")
        of_job[row.job_id][row.token] = row
    runs_of: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs_in(lines), key=lambda run: (run.token, run.start)):
        runs_of[run.job_id].append(run)
    for job_id in sorted(jobs.keys() | runs_of.keys() - removed):
        _check_job(
            job_id, jobs.get(job_id), runs_of[job_id], of_job[job_id], before_a_start.get(job_id), balance
        )
    for row in rows:
        if row.outcome == "lost":
            balance.leases_lost += 1
            if not excused(row):
                balance.wrong.append(f"{row.job_id}: {row.owner} lost its lease and had done nothing wrong")
    _check_suspects(runs_of, of_job, balance)
    return balance


def _check_job(
    job_id: str,
    job: Job | None,
    runs: list[Run],
    rows: dict[int, Row],
    cancelled: Row | None,
    balance: Balance,
) -> None:
    def wrong(what: str) -> None:
        balance.wrong.append(f"{job_id}: {what}")

    if job is None:
        wrong("ran, and is not in the store")
        return
    for run, later in zip_longest(runs, runs[1:]):
        row = rows.get(run.token)
        active = job.state is JobState.ACTIVE and job.deliveries == run.token
        if row is None and not active and run.word != "held":
            wrong(f"delivery {run.token} ran and has no row")
        if later is None:
            continue
        if later.token == run.token:
            wrong(f"delivery {run.token} was run twice")
        elif row is not None and row.outcome not in GOES_ON:
            wrong(f"ran again after delivery {run.token} was {row.outcome}")
        elif row is not None and row.outcome == "lost":
            balance.repeated += 1
        elif later.start < (run.end or 0.0) or (
            run.end is None and row is not None and row.outcome == "retry"
        ):
            wrong(f"delivery {later.token} began before {run.token} had ended, and no lease was lost")
    if job.attempts > job.max_attempts:
        wrong(f"{job.attempts} attempts of {job.max_attempts}")
    spent = [row for row in rows.values() if row.outcome != "interrupted"]
    if job.state.settled and len(spent) != job.attempts:
        wrong(f"{job.attempts} attempts and {len(spent)} rows: {sorted(row.outcome for row in spent)}")
    if job.state is JobState.COMPLETED:
        done = [row.token for row in rows.values() if row.outcome == "completed"]
        ended = [run.token for run in runs if run.word == "ended"]
        if len(done) != 1 or done[0] not in ended:
            wrong(f"completed by deliveries {done}, and the actor ended in {ended}")
    last = rows[max(rows)] if rows else None
    if cancelled is not None and (last is None or cancelled.token >= last.token):
        last = cancelled
    if job.state.settled and last is not None and last.state != job.state:
        wrong(f"is {job.state}, and its last row says {last.state}")


def _check_suspects(
    runs_of: Mapping[str, list[Run]], rows_of: Mapping[str, dict[int, Row]], balance: Balance
) -> None:
    """A job that lost a lease shares its process with no other from then on."""
    by_process: dict[int, list[tuple[Run, bool]]] = defaultdict(list)
    for job_id, runs in runs_of.items():
        lost = min((row.token for row in rows_of[job_id].values() if row.outcome == "lost"), default=None)
        for run in runs:
            by_process[run.pid].append((run, lost is not None and run.token > lost))
    for pid, runs_here in by_process.items():
        open_until, last, last_suspect = 0.0, "", False
        for run, suspect in sorted(runs_here, key=lambda pair: pair[0].start):
            if run.start < open_until and (suspect or last_suspect):
                balance.wrong.append(
                    f"{run.job_id} ran beside {last} in process {pid}, and one was a suspect"
                )
            end = run.end if run.end is not None else float("inf")
            if end > open_until:
                open_until, last, last_suspect = end, run.job_id, suspect
