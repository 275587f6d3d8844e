"""Which failures of IMAP would another attempt mend? (RFC 5530 response codes where the server sends them)"""

import imaplib
import re
import socket
import ssl
from typing import TYPE_CHECKING

from integrations.errors import IntegrationError, PermanentFailure, TransientFailure

if TYPE_CHECKING:
    from integrations.imap import ImapAccount

_BUSY = re.compile(
    r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA)\]|too many|try again|temporar", re.IGNORECASE
)


def explained(error: Exception, account: "ImapAccount") -> IntegrationError:
    """`error` as one of the two failures, in a sentence that names the server but no secret."""
    from imap_tools.errors import MailboxFolderSelectError, MailboxLoginError

    where = f"The mail server {account.host}:{account.port}"
    if isinstance(error, MailboxLoginError):
        return login_refused(error, account)
    if isinstance(error, MailboxFolderSelectError) and not _busy(error):
        return PermanentFailure(f"{where} has no folder {account.folder!r} that {account.username} may read.")
    if isinstance(error, ssl.SSLCertVerificationError):
        return PermanentFailure(
            f"{where} shows a certificate that is not trusted ({error.verify_message}): "
            "check the host name, or name its authority in ca_file."
        )
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return PermanentFailure(
            f"{where} does not speak TLS on this port: set tls to starttls or change the port."
        )
    if isinstance(error, FileNotFoundError):
        return PermanentFailure(f"The ca_file {account.ca_file!r} of the mail account is not there.")
    if isinstance(error, TimeoutError):
        return TransientFailure(f"{where} did not answer within {account.timeout_seconds:g} s.")
    if isinstance(error, socket.gaierror):
        return TransientFailure(f"{where} has a name that cannot be resolved: {error.strerror}.")
    if isinstance(error, OSError):
        return TransientFailure(f"{where} cannot be reached: {error.strerror or type(error).__name__}.")
    if isinstance(error, imaplib.IMAP4.error) and "TLS not supported" in str(error):
        return PermanentFailure(
            f"{where} offers no STARTTLS: set tls to tls, and the port that goes with it."
        )
    return TransientFailure(f"{where} broke off or is busy ({type(error).__name__}).")


def login_refused(error: Exception, account: "ImapAccount") -> IntegrationError:
    """A refused login: permanent, unless the server says that it is only busy."""
    where = f"{account.host}:{account.port}"
    if _busy(error):
        return TransientFailure(f"The mail server {where} takes no login now: it is busy.")
    return PermanentFailure(
        f"The mail server {where} refused the login of {account.username}: check user, password and tls."
    )


def _busy(error: Exception) -> bool:
    return _BUSY.search(str(error)) is not None
