from tests.fundamentals.stage import app, home, jobs, policies, real_app, running_worker
from tests.middleware.releases import fleet, no_waiting
from tests.middleware.transfers import ran, transfer

__all__ = [
    "app",
    "fleet",
    "home",
    "jobs",
    "no_waiting",
    "policies",
    "ran",
    "real_app",
    "running_worker",
    "transfer",
]
