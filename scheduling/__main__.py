"""`python -m scheduling`: the same as `callboard scheduler`."""

import sys

from jobs.errors import CallboardError
from settings import SettingsError


def main() -> int:
    """The exit status; what is missing is one sentence on stderr."""
    try:
        from actors import app
        from scheduling.process import run_scheduler

        return run_scheduler(app)
    except (CallboardError, SettingsError) as error:
        sys.stderr.write(f"callboard: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
