"""Check of the fleet's keys."""

from typing import TYPE_CHECKING

from control.service.checks.finding import Finding, note, ok, problem
from jobs.errors import KeyMissing

if TYPE_CHECKING:
    from actors.composition import App


def keys(app: "App") -> Finding:
    """Whether there is a key to sign with, and where it is kept."""
    ring = app.sealing.ring
    try:
        number, known = ring.closing().number, len(ring.ring().keys)
    except KeyMissing as error:
        if app.settings.redis.effective_url() is None and ring.file is not None and not ring.file.exists():
            return note("keys", "none yet: the first start of 'callboard up' makes one")
        return problem("keys", str(error), "run 'callboard keys new' and give the key to every process")
    place = "the settings" if ring.file is None else str(ring.file)
    return ok("keys", f"key {number} of {known} in {place}; keep a copy elsewhere")
