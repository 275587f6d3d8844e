"""`callboard api` and `callboard api-key`."""

import typer

key_app = typer.Typer(help="The bearer key of the HTTP API.", no_args_is_help=True)


def api() -> None:
    """Run the HTTP API alone, for example in a container."""
    from actors import app
    from control.api.serve import serve

    serve(app)


@key_app.callback()
def key_group() -> None:
    """The bearer key of the HTTP API."""


@key_app.command()
def rotate() -> None:
    """Make a new key and show it once. The old one is refused from now on."""
    from actors.composition import compose
    from control.api.keys import KeyFile
    from control.cli.operator import operator
    from control.service.journal import acting, record

    app = compose()
    by = operator(app.settings.home)
    with acting(app, by, "api-key.rotate"):
        key = KeyFile(app.settings.home).rotate()
    record(by, "api-key.rotate")
    typer.echo(key)
