"""The `callboard` command. Every error leaves as one sentence on stderr."""

import os
import sys
from collections.abc import Sequence

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 when it worked, 1 when it did not, 2 when it was called wrongly.

    CALLBOARD_DEBUG=1 shows tracebacks.
    """
    # Taken out, because the settings refuse a CALLBOARD_ name that sets nothing.
    debug = os.environ.pop("CALLBOARD_DEBUG", "") not in ("", "0")
    try:
        sys.exit(_run(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        sys.stderr.write(f"callboard: {_sentence(error)}\n")
        sys.exit(FAILED)


def _run(arguments: Sequence[str]) -> int:
    from typer._click.exceptions import UsageError

    from control.cli.commands import app

    try:
        code = app(args=list(arguments), prog_name="callboard", standalone_mode=False)
    except UsageError as error:
        said = error.format_message().replace("Value error, ", "").rstrip(".")
        help_at = f"; see '{error.ctx.command_path} --help'" if error.ctx else ""
        if said:  # without any command the help was shown, which says enough
            sys.stderr.write(f"callboard: {said}{help_at}\n")
        return MISUSED
    return code if isinstance(code, int) else 0


def _sentence(error: Exception) -> str:
    from jobs.errors import CallboardError
    from settings import SettingsError

    if isinstance(error, CallboardError | SettingsError):
        return str(error)
    if isinstance(error, BrokenPipeError):
        return "the reader of the output went away"
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror.lower()}{where}"
    return f"unexpected {type(error).__name__}; run it again with CALLBOARD_DEBUG=1 to see where"
