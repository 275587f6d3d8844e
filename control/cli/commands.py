"""All commands, put together. Each imports what it needs only when it is run: `--help` stays quick."""

import typer

from control.cli import (
    api,
    audit,
    cache,
    config,
    dead,
    demo,
    doctor,
    health,
    history,
    job_actions,
    job_logs,
    job_steps,
    jobs,
    keys,
    limits,
    migrate,
    queues,
    reports,
    run_limits,
    schedule_edits,
    scheduler,
    schedules,
    up,
    workers,
)

app = typer.Typer(
    help="A background-job platform for multi-tenant products, built on Dramatiq.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("api")(api.api)
app.command("scheduler")(scheduler.scheduler)
app.command("migrate")(migrate.migrate)
app.add_typer(jobs.app, name="jobs")
jobs.app.command("show")(history.show)
jobs.app.command("why")(job_actions.why)
jobs.app.command("logs")(job_logs.logs)
jobs.app.command("steps")(job_steps.steps)
jobs.app.command("promote")(job_actions.promote)
jobs.app.command("priority")(job_actions.priority)
jobs.app.command("cancel")(job_actions.cancel)
jobs.app.command("remove")(job_actions.remove)
jobs.app.command("retry")(job_actions.retry)
jobs.app.command("retry-failed")(job_actions.retry_failed)
app.add_typer(dead.app, name="dead")
app.add_typer(queues.app, name="queues")
queues.app.command("limits")(limits.limits)
queues.app.command("set")(limits.change)
queues.app.command("restore")(limits.restore)
app.add_typer(limits.tenants, name="tenants")
app.add_typer(cache.app, name="cache")
app.add_typer(cache.blobs, name="blobs")
app.add_typer(run_limits.app, name="limits")
app.add_typer(run_limits.providers, name="providers")
app.add_typer(schedules.app, name="schedules")
schedules.app.command("add")(schedule_edits.add)
schedules.app.command("edit")(schedule_edits.edit)
schedules.app.command("preview")(schedule_edits.preview)
app.add_typer(workers.app, name="workers")
app.add_typer(reports.app, name="audit")
reports.app.command("actions")(audit.actions)
reports.app.command("clean")(audit.clean)
reports.app.command("verify")(audit.verify)
app.add_typer(config.app, name="config")
app.add_typer(health.app, name="health")
app.add_typer(keys.app, name="keys")
app.add_typer(api.key_app, name="api-key")
