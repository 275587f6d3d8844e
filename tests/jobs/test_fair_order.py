"""The order of lines is fair: a proof by many examples on the algorithm alone."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from jobs.memory.order import ONE_START_IN, LineKey, Lines, Starts

LANES = ("a", "b", "c")
arrivals = st.lists(st.tuples(st.sampled_from(LANES), st.integers(0, 12), st.integers(0, 20)), max_size=12)
weights = st.fixed_dictionaries(dict.fromkeys(LANES, st.sampled_from([0.5, 1.0, 3.0])))


def serve(lines: Lines, weight: dict[str, float]) -> str:
    """Start one job; whose it was."""
    line = lines.first("q", 0)
    assert line is not None
    entry = line.jobs[0]
    lines.charge(line, 1.0, weight[line.key.lane])
    lines.discard(line.key, entry)
    return line.key.lane


@given(arrivals=arrivals, weight=weights)
def test_while_two_lanes_have_work_their_shares_differ_by_a_job_each_at_most(
    arrivals: list[tuple[str, int, int]], weight: dict[str, float]
) -> None:
    """The bound of start-time fair queueing, for every stretch in which both lanes wait, whatever came
    before: |served(a)/weight(a) - served(b)/weight(b)| <= 1/weight(a) + 1/weight(b)."""
    lines, served, number = Lines(), Counter[str](), 0
    since: dict[tuple[str, str], Counter[str]] = {}
    for lane, jobs, starts in arrivals:
        for _ in range(jobs):
            number += 1
            lines.add(LineKey("q", 0, lane, ""), (5, number, str(number)))
        for _ in range(starts):
            waiting = {line.key.lane for line in lines.of("q")}
            if not waiting:
                break
            both = {(a, b) for a in waiting for b in waiting if a < b}
            since = {pair: since.get(pair, served.copy()) for pair in both}
            served[serve(lines, weight)] += 1
            for (a, b), before in since.items():
                share_of_a = (served[a] - before[a]) / weight[a]
                share_of_b = (served[b] - before[b]) / weight[b]
                assert abs(share_of_a - share_of_b) <= 1 / weight[a] + 1 / weight[b] + 1e-6


@given(bands=st.lists(st.integers(1, 10), min_size=2, max_size=6, unique=True), batch=st.integers(1, 50))
def test_each_band_with_work_is_served_once_in_twenty_starts(bands: list[int], batch: int) -> None:
    bands, starts, order = sorted(bands), Starts(), list[int]()
    while len(order) < 200:
        band, room = starts.choose(bands, batch)
        jobs = min(room, batch)
        starts.served(band, jobs)
        order += [band] * jobs
    for start in range(len(order) - ONE_START_IN):
        assert set(bands) == set(order[start : start + ONE_START_IN])
