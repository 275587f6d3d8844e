"""`callboard doctor`."""

from typing import Annotated

import typer

from control.cli.output import print_json


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check each thing that Callboard needs, and say how to mend what is wrong."""
    from control.service.checkup import examine

    findings = list(examine())
    if as_json:
        print_json([finding.to_json() for finding in findings])
    else:
        for finding in findings:
            mark = {"ok": "✓", "note": "·", "problem": "✗"}[finding.status]
            typer.echo(f"{mark} {finding.subject}: {finding.text}")
            if finding.mend:
                typer.echo(f"    mend: {finding.mend}")
    problems = sum(finding.status == "problem" for finding in findings)
    if not as_json:
        typer.echo("\nall is well" if not problems else f"\n{problems} to mend")
    raise typer.Exit(1 if problems else 0)
