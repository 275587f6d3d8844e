"""`callboard schedules`: see, pause, run and delete them. Adding and editing are in `schedule_edits`."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from control.cli.operator import operator
from control.cli.output import duration, print_json, print_table

if TYPE_CHECKING:
    from control.service import ScheduleActions, Schedules
    from control.service.schedule_views import ComingView, ScheduleView, TickView

app = typer.Typer(help="See schedules, add, change, pause and run them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The schedule.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SHOWN = 3  # ticks to come after each act
STATE_NAMES = ("on", "paused", "off", "flawed", "gone", "ended")


@app.command("list")
def list_schedules(
    state: Annotated[str | None, typer.Option(help="on, paused, off, flawed, gone or ended.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only those of this actor.")] = None,
    source: Annotated[str | None, typer.Option(help="code, settings or runtime.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Schedules at most.")] = 1_000,
    as_json: AsJson = False,
) -> None:
    """All schedules: when in words, state, what comes next and what was last."""
    if state is not None and state not in STATE_NAMES:
        raise typer.BadParameter(f"{state!r} must be one of {', '.join(STATE_NAMES)}.", param_hint="--state")
    views = reads().first(state=state, actor=actor, source=source, limit=limit)
    if as_json:
        print_json([view.to_json() for view in views])
    elif views:
        print_table(("schedule", "when", "state", "next (UTC)", "last", "job", "from"), map(_row, views))
        for view in views:
            if view.reason and view.state not in ("paused", "off"):  # `show` says it
                typer.echo(f"{view.name}: {view.reason}")
    else:
        typer.echo("no schedule fits" if state or actor or source else "there is no schedule")


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """All of one schedule."""
    view = reads().get(name)
    if as_json:
        print_json(view.to_json())
        return
    say(view)
    left_out = ("name", "words", "timezone", "next", "state", "reason", "lastTick")
    shown = {key: value for key, value in view.to_json().items() if key not in left_out}
    rows = [(key, _cell(value)) for key, value in shown.items() if value not in (None, "", {}, [])]
    if view.last_tick:
        rows.append(("lastTick", _told(view.last_tick)))
    print_table(("", ""), rows)


@app.command("next")
def coming(
    name: Name,
    count: Annotated[int, typer.Option(min=1, max=100, help="So many.")] = 10,
    as_json: AsJson = False,
) -> None:
    """The ticks to come, in UTC and by the schedule's own zone."""
    view = reads().next(name, count)
    if as_json:
        print_json(view.to_json())
    else:
        say_coming(f"{view.name}: {view.words}", view.next)


@app.command()
def history(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Ticks at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The ticks that were, the newest first: what became of each, and of its job."""
    view = reads().history(name, limit)
    if as_json:
        print_json(view.to_json())
    elif view.ticks:
        headers = ("tick (UTC)", "outcome", "late", "job", "job is", "")
        print_table(headers, [_tick_row(one) for one in view.ticks])
        if view.next:
            typer.echo(f"these are the newest {limit:,}; --limit shows more")
    else:
        typer.echo(f"{name} has had no tick yet")


@app.command()
def pause(name: Name) -> None:
    """Fire nothing more of a schedule; its jobs go on."""
    say(verbs().pause(name))


@app.command()
def resume(name: Name) -> None:
    """Let a paused schedule go on."""
    say(verbs().resume(name))


@app.command()
def run(name: Name) -> None:
    """Add the schedule's job now, beside its ticks. Prints the job's id."""
    ran = verbs().run(name)
    typer.echo(ran.job_id)
    if ran.outcome != "enqueued":
        typer.echo(f"callboard: nothing was added, because this job of {name} is not done", err=True)


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, it is only shown.")] = False,
) -> None:
    """Delete a schedule; its jobs stay."""
    if not yes:
        say(reads().get(name))
        typer.echo("add --yes to delete it")
        return
    typer.echo(f"deleted {verbs().delete(name).name}")


def reads() -> "Schedules":
    """What only looks."""
    from actors import app as platform
    from control.service import Schedules

    return Schedules(platform)


def verbs() -> "ScheduleActions":
    """What changes something, by whoever runs the command."""
    from actors import app as platform
    from control.service import ScheduleActions

    return ScheduleActions(platform, operator(platform.settings.home))


def say(view: "ScheduleView") -> None:
    """A schedule in words with its state and the next ticks."""
    state = view.state if view.reason is None else f"{view.state}: {view.reason}"
    say_coming(f"{view.name} ({state}): {view.words}", view.next[:SHOWN])


def say_coming(headline: str, ticks: "Sequence[ComingView]") -> None:
    """A line, and one for each tick to come."""
    typer.echo(headline)
    for one in ticks:
        note = f"   {one.note}" if one.note else ""
        typer.echo(f"  next {one.local:%a} {one.local.isoformat(' ')}   {utc(one.tick)} UTC{note}")


def utc(at: datetime | None) -> str:
    """A moment without its zone, which is UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def _row(view: "ScheduleView") -> tuple[str, ...]:
    last = view.last_tick
    return (
        view.name,
        view.words,
        view.state,
        utc(view.next[0].tick) if view.next else "",
        f"{last.outcome} {utc(last.tick)}" if last else "",
        (last.job_outcome or "") if last else "",
        view.source,
    )


def _tick_row(one: "TickView") -> tuple[str, ...]:
    late = duration(one.late_ms)
    return (utc(one.tick), one.outcome, late, one.job_id or "", one.job_outcome or "", one.note or "")


def _told(one: "TickView") -> str:
    parts = (utc(one.tick), one.outcome, one.job_id, one.job_outcome, one.note)
    return ", ".join(part for part in parts if part)


def _cell(value: object) -> str:
    import orjson

    return value if isinstance(value, str) else orjson.dumps(value).decode()
