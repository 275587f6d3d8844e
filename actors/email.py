"""Mail. A job type is a function: its name gives the queue, its type hints the contract."""

from actors import app
from actors.declare import actor
from integrations.errors import PermanentFailure
from middleware.current import current_job
from middleware.progress import progress


@actor  # CATALOGUE section 2
def email_sync(user_id: str, account_id: str) -> dict[str, int]:
    """Fetch new mail of a mailbox of the settings into the database.

    Only what is new since the last sync is read; each batch and the place reached are stored together,
    so a run that dies halfway loses and doubles nothing. Returns how many messages were new.
    """
    from database.mailboxes import Mailboxes
    from integrations.imap import Cursor, ImapAccount, sync

    job = current_job()
    mailboxes = Mailboxes(app.engine(), job.tenant_id if job else "")
    mailbox = app.settings.mailboxes.get(account_id)
    if mailbox is None:
        # An error's record hides the values of arguments, so that the parameter is named instead.
        raise PermanentFailure(
            "There is no mailbox of the name given in account_id; add [mailboxes.NAME] to the settings."
        )
    account = ImapAccount(
        host=mailbox.host,
        port=mailbox.port,
        username=mailbox.username,
        password=mailbox.password.get_secret_value(),
        tls=mailbox.tls,
        folder=mailbox.folder,
        timeout_seconds=mailbox.timeout_ms / 1000,
    )
    job_id = job.id if job else f"direct-{account_id}"
    mailboxes.start_sync(job_id, user_id, account_id)
    progress(5, message="connecting")
    new = total = 0
    try:
        stored = mailboxes.cursor(account_id, account.folder)
        cursor = Cursor(stored.uid_validity, stored.uid_next) if stored else None
        progress(10, message="reading the mailbox")
        for number, batch in enumerate(sync(account, cursor)):
            if number == 0:
                progress(20, message=f"{batch.total} new messages")
                progress(40, message="storing")
            place = batch.cursor
            new += mailboxes.store_batch(
                account_id, account.folder, place.uid_validity, place.uid_next, batch.messages, batch.reset
            )
            share = batch.done / batch.total if batch.total else 1
            progress(40 + 55 * share, message=f"{batch.done} of {batch.total}")
        total = mailboxes.count_messages(account_id, account.folder)
    except Exception as error:
        mailboxes.finish_sync(job_id, messages_new=new, messages_total=total, error=type(error).__name__)
        raise
    mailboxes.finish_sync(job_id, messages_new=new, messages_total=total)
    progress(100, message=f"{new} new messages")
    return {"new": new, "total": total}
