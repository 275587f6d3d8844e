"""`callboard schedules add`, `edit` and `preview`."""

from typing import Annotated

import typer

from control.cli.schedules import AsJson, Name, reads, say, say_coming, verbs

Values = Annotated[list[str] | None, typer.Argument(help="Arguments as name=value.", show_default=False)]
Json = Annotated[str | None, typer.Option(help="Arguments as a JSON object, or @FILE, or @-.")]
Cron = Annotated[str | None, typer.Option(help="Such as '0 9 * * mon-fri', or @daily.")]
Every = Annotated[str | None, typer.Option(help="Such as 90s or 5min.")]
At = Annotated[str | None, typer.Option(help="Once: 2026-12-01T08:00, by --timezone.")]
Zone = Annotated[str | None, typer.Option("--timezone", help="Such as Europe/Berlin; else UTC.")]
Dates = Annotated[
    list[str] | None, typer.Option("--exclude-date", help="2026-12-25, or from/to; may be repeated.")
]
Windows = Annotated[
    list[str] | None, typer.Option("--exclude-window", help="'22:00-06:00 mon-fri'; may be repeated.")
]
Jitter = Annotated[str | None, typer.Option(help="Each tick comes later by up to so much, such as 30s.")]
Start = Annotated[str | None, typer.Option(help="No tick before.")]
End = Annotated[str | None, typer.Option(help="No tick after.")]
Tenant = Annotated[str | None, typer.Option(help="The tenant its jobs belong to.")]
User = Annotated[str | None, typer.Option(help="The user its jobs are for.")]
Priority = Annotated[str | None, typer.Option(help="1 (first) to 10.")]
Timeout = Annotated[str | None, typer.Option(help="Limit of one attempt, such as 2min.")]
Attempts = Annotated[str | None, typer.Option(help="Executions at most.")]
Expires = Annotated[str | None, typer.Option(help="A job must start within, such as 30s.")]
Deadline = Annotated[str | None, typer.Option(help="A job must end within, such as 10min.")]
Gate = Annotated[str | None, typer.Option(help="A resource of the tenant, such as gmail:a7.")]
CatchUp = Annotated[str | None, typer.Option(help="Missed ticks: skip, last or all.")]
Window = Annotated[str | None, typer.Option("--catch-up-window", help="Never older ones, such as 6h.")]
Most = Annotated[str | None, typer.Option("--catch-up-max", help="So many at most with all.")]
Overlap = Annotated[str | None, typer.Option(help="While the last job runs: allow, skip or queue.")]
Enabled = Annotated[bool | None, typer.Option("--on/--off", help="Whether it fires.", show_default=False)]
Text = Annotated[str | None, typer.Option("--description", help="What it is for.")]


def add(
    name: Name,
    actor: Annotated[str, typer.Argument(help="The actor, such as report_generate.", show_default=False)],
    values: Values = None,
    json: Json = None,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    timezone: Zone = None,
    exclude_date: Dates = None,
    exclude_window: Windows = None,
    jitter: Jitter = None,
    start: Start = None,
    end: End = None,
    tenant: Tenant = None,
    user: User = None,
    priority: Priority = None,
    timeout: Timeout = None,
    attempts: Attempts = None,
    expires: Expires = None,
    deadline: Deadline = None,
    gate: Gate = None,
    catch_up: CatchUp = None,
    catch_up_window: Window = None,
    catch_up_max: Most = None,
    overlap: Overlap = None,
    enabled: Enabled = None,
    description: Text = None,
) -> None:
    """Add a schedule. One of --cron, --every and --at says when."""
    from control.cli.schedule_arguments import arguments_of, options_of, read_new

    given = options_of(locals())
    args = arguments_of(actor, values or [], json)
    say(verbs().create(read_new(name, actor, args or {}, given)))


def edit(
    name: Name,
    values: Values = None,
    json: Json = None,
    actor: Annotated[str | None, typer.Option(help="Another actor.")] = None,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    timezone: Zone = None,
    exclude_date: Dates = None,
    exclude_window: Windows = None,
    jitter: Jitter = None,
    start: Start = None,
    end: End = None,
    tenant: Tenant = None,
    user: User = None,
    priority: Priority = None,
    timeout: Timeout = None,
    attempts: Attempts = None,
    expires: Expires = None,
    deadline: Deadline = None,
    gate: Gate = None,
    catch_up: CatchUp = None,
    catch_up_window: Window = None,
    catch_up_max: Most = None,
    overlap: Overlap = None,
    enabled: Enabled = None,
    description: Text = None,
    version: Annotated[int | None, typer.Option(min=1, help="Refuse if it has another by now.")] = None,
) -> None:
    """Change a schedule. What is not given stays; `none` takes an option away; arguments are replaced as a
    whole."""
    from control.cli.schedule_arguments import arguments_of, options_of, read_schedule_changes

    given = {**options_of(locals()), "actor": actor, "version": version}
    before = reads().get(name)
    args = arguments_of(actor or before.actor, values or [], json)
    say(verbs().change(name, read_schedule_changes(given, args, before.timezone)))


def preview(
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    timezone: Zone = None,
    exclude_date: Dates = None,
    exclude_window: Windows = None,
    jitter: Jitter = None,
    start: Start = None,
    end: End = None,
    after: Annotated[str | None, typer.Option(help="From then on; else from now on.")] = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="So many ticks.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Say what a timing means, with its next ticks. Nothing is kept."""
    from control.cli.output import print_json
    from control.cli.schedule_arguments import options_of, read_preview

    given = options_of(locals())
    view = reads().preview(read_preview(given, after, count))
    if as_json:
        print_json(view.to_json())
    else:
        say_coming(view.words, view.next)
