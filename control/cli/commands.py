"""All commands, put together. Each imports what it needs only when it is run: `--help` stays quick."""

import typer

from control.cli import api, config, demo, doctor, health, jobs, migrate, up

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
app.command("migrate")(migrate.migrate)
app.add_typer(jobs.app, name="jobs")
app.add_typer(config.app, name="config")
app.add_typer(health.app, name="health")
app.add_typer(api.key_app, name="api-key")
