"""Reports are rendered from what the sync has stored."""

from typing import Any

from actors.reports import Format, report_generate
from control.demo.scene import Scene
from database.mailboxes import Mailboxes

FORMATS: tuple[Format, ...] = ("pdf", "xlsx", "csv")


def play(scene: Scene, messages: int) -> None:
    """`messages` are those of the mailbox."""
    scene.begin("Reports are rendered", "PDF, spreadsheet and CSV, from the synced mail")
    report = _report(scene, messages)
    parts = [
        scene.sent(f"report {kind}", report_generate.send(kind="client_overview", format=kind, report=report))
        for kind in FORMATS
    ]
    scene.until_ended(*parts)
    for result in map(scene.result, parts):
        scene.files.append(f"{result['path']}  ({result['size']:,} bytes)")


def _report(scene: Scene, messages: int) -> dict[str, Any]:
    """Who wrote how much."""
    senders = Mailboxes(scene.app.engine()).senders("inbox", limit=40)
    rows = [[sender, count, size] for sender, count, size in senders]
    return {
        "title": "Mail by sender",
        "subtitle": "Who writes most to this mailbox",
        "tenant": "Demo",
        "period": f"{messages} messages",
        "columns": [
            {"title": "Sender"},
            {"title": "Messages", "kind": "number"},
            {"title": "Bytes", "kind": "number"},
        ],
        "rows": rows,
        "totals": ["All listed", sum(row[1] for row in rows), sum(row[2] for row in rows)],
        "notes": ["Rendered by report_generate from what email_sync stored."],
    }
