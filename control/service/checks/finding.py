"""What one check found."""

from typing import Literal

from control.service.views import View


class Finding(View):
    """`note` is worth knowing but needs no mending."""

    subject: str
    status: Literal["ok", "note", "problem"]
    text: str
    mend: str | None = None


def ok(subject: str, text: str) -> Finding:
    return Finding(subject=subject, status="ok", text=text)


def note(subject: str, text: str) -> Finding:
    return Finding(subject=subject, status="note", text=text)


def problem(subject: str, text: str, mend: str) -> Finding:
    return Finding(subject=subject, status="problem", text=text, mend=mend)
