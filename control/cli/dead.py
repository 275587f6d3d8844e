"""`callboard dead`: dead letters by cause, and what is done with them."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.chunks import INTERRUPTED, between_chunks, carry_out
from control.cli.operator import operator
from control.cli.output import print_json, print_table
from jobs.errors import InvalidPayload

if TYPE_CHECKING:
    from control.service import CanaryView, LetterView
    from control.service.dead_letters import Survey
    from control.service.edits import Edit
    from control.service.letters import Letters
    from control.service.requests import DeadLetterFilter

app = typer.Typer(
    help="Jobs that failed for good: see them, run them again, discard them.", no_args_is_help=True
)

Queue = Annotated[str | None, typer.Option(help="Where they ran, or a dead-letter queue.")]
Actor = Annotated[str | None, typer.Option(help="The actor that failed.")]
ErrorType = Annotated[str | None, typer.Option(help="The error's type, such as LoginRefused.")]
Code = Annotated[str | None, typer.Option(help="The kind, such as timeout, exhausted or expired.")]
Fingerprint = Annotated[str | None, typer.Option(help="Of one cause, as `dead list --group` shows it.")]
Tenant = Annotated[str | None, typer.Option(help="The tenant they belong to.")]
Since = Annotated[str | None, typer.Option(help="Failed then or later: 2026-03-01T08:00, or 2h.")]
Until = Annotated[str | None, typer.Option(help="Failed before then.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, they are only counted.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="Change an argument first: name=value (repeat).")
]
Patch = Annotated[str | None, typer.Option(help="A JSON file that is merged into the arguments first.")]
LiftTimes = Annotated[
    bool, typer.Option("--lift-times", help="Without the jobs' deadline, expires and retry_for.")
]

#: How often a canary looks at the jobs that it started, in seconds.
LOOK_EVERY_S = 0.2


@app.command("list")
def list_letters(
    queue: Queue = None,
    actor: Actor = None,
    error: ErrorType = None,
    code: Code = None,
    fingerprint: Fingerprint = None,
    tenant: Tenant = None,
    since: Since = None,
    until: Until = None,
    group: Annotated[bool, typer.Option("--group", help="By cause, the most frequent first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, or their causes."""
    from actors import app as platform
    from control.service.letters import Letters

    wanted = _filter(queue, actor, error, code, fingerprint, tenant, since, until)
    letters = Letters(platform)
    if group:
        _print_groups(letters, wanted, limit, as_json)
        return
    found, after = list["LetterView"](), None
    while len(found) < limit:
        page = letters.page(wanted, 1_000, after)
        found += page.letters
        if (after := page.next) is None:
            break
    shown = found[:limit]
    if as_json:
        print_json([one.to_json() for one in shown])
    elif shown:
        headers = ("id", "actor", "tenant", "attempts", "kind", "fingerprint", "failed because")
        print_table(headers, map(_row, shown))
    else:
        typer.echo("no dead letter fits")


@app.command()
def replay(
    queue: Queue = None,
    actor: Actor = None,
    error: ErrorType = None,
    code: Code = None,
    fingerprint: Fingerprint = None,
    tenant: Tenant = None,
    since: Since = None,
    until: Until = None,
    changes: Changes = None,
    patch: Patch = None,
    lift_times: LiftTimes = False,
    canary: Annotated[
        bool, typer.Option("--canary", help="1, then 10, then all; stops when they fail again.")
    ] = False,
    go_on: Annotated[
        bool, typer.Option("--go-on", help="A canary only counts failures by another cause than before.")
    ] = False,
    patience: Annotated[str, typer.Option(help="How long a canary waits for a stage.")] = "10min",
    yes: Yes = False,
) -> None:
    """Run dead letters again: those that fit all that is given, changed first if asked."""
    from actors import app as platform
    from control.cli.arguments import read_age
    from control.service.replay import Replay, Tally

    wanted = _filter(queue, actor, error, code, fingerprint, tenant, since, until)
    edit = _edit(changes, patch, lift_times)
    if (found := _counted(wanted)) is None:
        return
    if not yes:
        typer.echo(f"{found.matched:,} would run again; add --yes to do it")
        return
    by = operator(platform.settings.home)
    if canary:
        wait_s = read_age("patience", patience).total_seconds()
        raise typer.Exit(_canary(wanted, edit, by, found.matched, wait_s, go_on))
    tally = Tally()
    exit_code = carry_out(
        Replay(platform, by).run(wanted, found.newest, edit, tally), found.matched, "run again"
    )
    for reason in tally.reasons:
        typer.echo(f"callboard: not changed, and not run: {reason}", err=True)
    raise typer.Exit(exit_code or (1 if tally.refused else 0))


@app.command()
def discard(
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit.", show_default=False)],
    queue: Queue = None,
    actor: Actor = None,
    error: ErrorType = None,
    code: Code = None,
    fingerprint: Fingerprint = None,
    tenant: Tenant = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
) -> None:
    """Remove dead letters: those that fit all that is given."""
    from actors import app as platform
    from control.service.replay import Replay

    if not reason.strip():
        raise InvalidPayload("reason: say why they are discarded")
    wanted = _filter(queue, actor, error, code, fingerprint, tenant, since, until)
    if (found := _counted(wanted)) is None:
        return
    if not yes:
        typer.echo(f"{found.matched:,} would be discarded; add --yes to do it")
        return
    run = Replay(platform, operator(platform.settings.home)).discard(wanted, found.newest, reason)
    raise typer.Exit(carry_out(run, found.matched, "discarded"))


def _filter(
    queue: str | None,
    actor: str | None,
    error: str | None,
    code: str | None,
    fingerprint: str | None,
    tenant: str | None,
    since: str | None,
    until: str | None,
) -> "DeadLetterFilter":
    from control.cli.arguments import read_filter

    given = {
        "queue": queue,
        "name": actor,
        "errorType": error,
        "errorCode": code,
        "fingerprint": fingerprint,
        "tenantId": tenant,
    }
    return read_filter(given, since=since, until=until)


def _counted(wanted: "DeadLetterFilter") -> "Survey | None":
    """What fits, said by error; None when nothing does."""
    from actors import app as platform
    from control.service import DeadLetters

    found = None
    for survey in DeadLetters(platform, "").survey(wanted):
        found = survey
    if found is None or not found.matched:
        typer.echo("no dead letter fits")
        return None
    for kind, count in found.errors.most_common():
        typer.echo(f"{count:>9,} {kind}")
    return found


def _edit(words: list[str] | None, patch: str | None, lift_times: bool) -> "Edit":
    from control.cli.arguments import read_document
    from control.service.edits import Edit

    pairs = dict[str, str]()
    for word in words or []:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidPayload(f"set: {word!r} is no change: write it as name=value")
        if name in pairs:
            raise InvalidPayload(f"set: {name} is given twice")
        pairs[name] = value
    return Edit(read_document(f"@{patch}", "patch") if patch is not None else {}, pairs, lift_times)


def _canary(
    wanted: "DeadLetterFilter", edit: "Edit", by: str, total: int, patience_s: float, go_on: bool
) -> int:
    from actors import app as platform
    from control.service.canary import Canary

    canary, view, said = Canary(platform, by), None, ""
    since = time.monotonic()
    with between_chunks() as pressed:
        while view is None or view.state == "waiting":
            before, view = view, canary.step(wanted, edit, view.next if view else None, go_on=go_on)
            if _moved(before, view):
                since = time.monotonic()
            said = _say(view, total, said)
            if pressed():
                typer.echo(f"stopped: {view.message}")
                return INTERRUPTED
            if time.monotonic() - since > patience_s:
                typer.echo(f"callboard: nothing moves any more, so it ends here: {view.message}", err=True)
                return 1
            if view.state == "waiting":
                time.sleep(LOOK_EVERY_S)
    if view.state == "stopped":
        for job_id in view.returned + view.otherwise:
            typer.echo(f"  {job_id}", err=True)
    return 1 if view.state == "stopped" or view.failed_otherwise else 0


def _moved(before: "CanaryView | None", view: "CanaryView") -> bool:
    if before is None:
        return True
    return (before.started, before.running, before.completed) != (view.started, view.running, view.completed)


def _say(view: "CanaryView", total: int, said: str) -> str:
    line = f"{view.started:,} of {total:,}: {view.completed:,} completed, {view.running} run"
    if view.failed_otherwise:
        line += f", {view.failed_otherwise} failed by another cause"
    if aside := view.cancelled + view.removed:
        line += f", {aside} cancelled or removed"
    if view.state != "waiting":
        line = view.message
    if line != said:
        typer.echo(line)
    return line


def _print_groups(letters: "Letters", wanted: "DeadLetterFilter", limit: int, as_json: bool) -> None:
    view = letters.groups(wanted)
    if as_json:
        print_json(view.to_json())
        return
    if not view.groups:
        typer.echo("no dead letter fits")
        return
    rows = [
        (
            one.fingerprint,
            f"{one.count:,}",
            one.error_type or "",
            one.error_code or "",
            ", ".join(one.actors),
            str(one.tenants),
            one.last_at.isoformat(" ", "seconds") if one.last_at else "",
            _first_line(one.error_message),
        )
        for one in view.groups[:limit]
    ]
    headers = ("fingerprint", "jobs", "error", "kind", "actors", "tenants", "last (UTC)", "message")
    print_table(headers, rows)
    if not view.complete:
        typer.echo(f"callboard: only {view.looked:,} dead letters were looked at", err=True)


def _row(one: "LetterView") -> tuple[str, ...]:
    because = ": ".join(part for part in (one.error_type, _first_line(one.error_message)) if part)
    return (
        one.id,
        one.name,
        one.tenant_id or "",
        str(one.attempts_made),
        one.error_code or "",
        one.fingerprint,
        because,
    )


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]
