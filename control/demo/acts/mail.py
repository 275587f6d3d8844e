"""Mailboxes are synced from an IMAP server."""

from actors.email import email_sync
from control.demo.scene import Part, Scene


def play(scene: Scene) -> tuple[int, Part]:
    """How many messages were synced, and the sync of the larger one, which still runs."""
    scene.begin("A mailbox is synced", "over IMAP, and a larger one beside it")
    inbox = scene.sent("sync inbox", email_sync.send(user_id="ada", account_id="inbox"))
    archive = scene.sent("sync archive", email_sync.send(user_id="ada", account_id="archive"))
    scene.until_ended(inbox)
    return int(scene.result(inbox)["new"]), archive
