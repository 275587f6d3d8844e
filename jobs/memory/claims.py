"""Under a cap of one a suspect claims the next free place: else ordinary jobs would take it again and again
before a process is empty for it. A free place is kept for some time, then others have it as long, then it is
kept for twice that, until a suspect has run under the cap."""

from collections.abc import Iterable

from jobs.memory.limits import LimitName
from jobs.memory.state import Claim, State

#: How long a free place is kept first, and how often that doubles.
KEPT_MS, DOUBLED_AT_MOST = 30_000, 10
#: A claim holds when a suspect that may run was met so lately.
MET_MS = 60_000
#: When others look again: the suspect may have ended meanwhile.
LOOK_AGAIN_MS = 1_000


def kept_until(state: State, name: LimitName) -> int | None:
    """When other jobs shall look again at a free place that is kept; None when they may have it."""
    claim = _claims(state).get(name)
    if claim is None or (claim.since and claim.since + _kept_ms(claim) <= state.now):
        return None
    return state.now + LOOK_AGAIN_MS


def claim_places(state: State, names: Iterable[LimitName]) -> None:
    """Suspects wait for nothing but places under these caps of one, and for a process."""
    claims = state.workers.claims = _claims(state)
    for name in names:
        since, _, in_vain = claim = claims.get(name, Claim(0, state.now))
        if since and since + 2 * _kept_ms(claim) <= state.now:
            since, in_vain = 0, in_vain + 1
        if not since and not state.limits.running[name]:
            since = state.now
        claims[name] = Claim(since, state.now, in_vain)


def end_claims(state: State, names: Iterable[LimitName]) -> None:
    """A suspect starts under these."""
    for name in names:
        state.workers.claims.pop(name, None)


def _kept_ms(claim: Claim) -> int:
    return KEPT_MS << min(claim.in_vain, DOUBLED_AT_MOST)


def _claims(state: State) -> dict[LimitName, Claim]:
    """Those that hold."""
    if not state.held and not any(state.suspects.values()):
        return {}
    return {name: claim for name, claim in state.workers.claims.items() if claim.met > state.now - MET_MS}
