"""What can go wrong with the database, in words a person can act on."""

from jobs.errors import CallboardError, KeyMissing


class DatabaseUnavailable(CallboardError):
    """The database cannot be reached, read or written now; the same call may work later."""


class DatabaseOutdated(CallboardError):
    """The database lacks tables or columns of this release; it has to be migrated."""


class AuditKeyMissing(KeyMissing):
    """The audit was last written with a key that this process does not have; it writes nothing then."""


class InvalidDatabaseUrl(CallboardError):
    """The URL of the database cannot be used; the message never shows its password."""


class MailboxRenumbered(CallboardError):
    """A batch of messages belongs to a numbering that the mailbox no longer has."""
