"""One mail as a row: what is worth keeping of RFC 5322, read without trusting that it obeys RFC 5322."""

import codecs
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import decode_header
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from imap_tools.message import MailMessage as ParsedMessage

SNIPPET_CHARS = 200
HEADER_CHARS = 998  # RFC 5322's longest line
_RECIPIENTS = 100
_HTML_CHARS = 20_000
T = TypeVar("T")
FetchPart = bytes | tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class MailMessage:
    """A message's headers, flags and first words. All text is valid UTF-8 without control characters.

    `date` is aware UTC, None if there is none or it cannot be read; `message_id` None if there is none.
    `size` is in bytes. `defects` names the fields that could not be read and hold a default instead.
    """

    uid: int
    message_id: str | None
    subject: str
    from_address: str
    to: tuple[str, ...]
    date: datetime | None
    size: int
    flags: tuple[str, ...]
    snippet: str
    has_attachments: bool
    important: bool
    defects: tuple[str, ...] = ()


def read_message(parts: list[FetchPart], read_bytes: int) -> MailMessage:
    """Read one FETCH answer, of whose body only the first `read_bytes` were asked for.

    A field that is beyond reading gets its default and is named in `defects`: a broken mail is a mail.
    """
    from imap_tools.message import MailMessage as ParsedMessage

    mail = ParsedMessage(parts)
    defects: list[str] = []

    def field(name: str, default: T, read: Callable[[], T]) -> T:
        try:
            return read()
        # The email package raises what it likes on bad input (ValueError, LookupError, IndexError,
        # AttributeError ...), and one broken header must not stop a mailbox.
        except Exception:  # noqa: BLE001
            defects.append(name)
            return default

    meta = b" ".join(part[0] if isinstance(part, tuple) else part for part in parts if part)
    size = _counted(rb"RFC822\.SIZE", meta)
    return MailMessage(
        uid=_counted(rb"UID", meta),
        message_id=field("message_id", None, lambda: _message_id(mail)),
        subject=field("subject", "", lambda: _subject(mail)),
        from_address=field("from_address", "", lambda: clean(mail.from_, 320)),
        to=field(
            "to", (), lambda: tuple(clean(address, 320) for address in mail.to[:_RECIPIENTS] if address)
        ),
        date=field("date", None, lambda: _date(mail)),
        size=size,
        flags=_flags(meta),
        snippet=field("snippet", "", lambda: _snippet(mail)),
        has_attachments=field("has_attachments", False, lambda: _attachments(mail, size, read_bytes)),
        important=field("important", False, lambda: _important(mail)),
        defects=tuple(defects),
    )


def _counted(name: bytes, meta: bytes) -> int:
    found = re.search(rb"\b" + name + rb"\s+(\d+)", meta, re.IGNORECASE)
    return int(found[1]) if found else 0


def _flags(meta: bytes) -> tuple[str, ...]:
    found = re.search(rb"\bFLAGS\s+\(([^)]*)\)", meta, re.IGNORECASE)
    return tuple(clean(flag, 100) for flag in found[1].decode("utf-8", "replace").split()) if found else ()


def clean(text: object, limit: int) -> str:
    """One line of valid UTF-8 text, at most `limit` characters, as PostgreSQL and JSON want it."""
    line = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", str(text))
    return line.encode("utf-8", "replace").decode().strip()[:limit].rstrip()


def _header(mail: "ParsedMessage", name: str) -> str:
    return clean(mail.obj.get(name) or "", HEADER_CHARS)


def _message_id(mail: "ParsedMessage") -> str | None:
    return _header(mail, "Message-ID") or None


def _date(mail: "ParsedMessage") -> datetime | None:
    """The Date header in UTC; a date without a zone (-0000) is UTC by RFC 5322."""
    text = _header(mail, "Date")
    if not text:
        return None
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        found = mail.date  # a second, laxer reading
        if found.year == 1900:  # its word for "unreadable"
            raise
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return aware.astimezone(UTC)


def _subject(mail: "ParsedMessage") -> str:
    raw = mail.obj.get("Subject") or ""
    # decode_header loses the blank at a fold between a plain and an encoded word.
    pieces = decode_header(re.sub(r"\r?\n(?=[ \t])", "", raw) if isinstance(raw, str) else raw)
    return clean("".join(decoded(piece, charset) for piece, charset in pieces), HEADER_CHARS)


def _snippet(mail: "ParsedMessage") -> str:
    """The first words of the first text part, of the first HTML part if there is no text."""
    words = {"text/plain": "", "text/html": ""}
    for part in mail.obj.walk():
        kind = part.get_content_type()
        if words.get(kind) == "" and part.get_content_disposition() != "attachment":
            payload = part.get_payload(decode=True)
            text = decoded(payload, part.get_content_charset()) if isinstance(payload, bytes) else ""
            words[kind] = text if kind == "text/plain" else _visible(text[:_HTML_CHARS])
    return clean(words["text/plain"][:_HTML_CHARS], SNIPPET_CHARS) or clean(words["text/html"], SNIPPET_CHARS)


def decoded(data: bytes | str, charset: str | None) -> str:
    """Bytes as text: in the charset they claim, else UTF-8, else Windows-1252, which old senders mean."""
    if isinstance(data, str):
        return data
    for name in (charset, "utf-8"):
        # The reading may have been cut within a character: `final=False` leaves such an end out.
        with suppress(LookupError, UnicodeError):
            return codecs.getincrementaldecoder(name or "utf-8")().decode(data, final=False)
    return data.decode("cp1252", "replace")


def _attachments(mail: "ParsedMessage", size: int, read_bytes: int) -> bool:
    for part in mail.obj.walk():
        if part.is_multipart() and part.get_content_type() != "message/rfc822":
            continue
        inline = part.get_content_disposition() == "inline"
        if part.get_content_disposition() == "attachment" or (part.get_filename() and not inline):
            return True
    # Only its beginning was read: a mixed message that long has its attachment further on.
    return size > read_bytes and mail.obj.get_content_type() == "multipart/mixed"


def _important(mail: "ParsedMessage") -> bool:
    """Marked by its sender: Importance: high, X-Priority 1 or 2, Priority: urgent."""
    if _header(mail, "Importance").lower() == "high" or _header(mail, "Priority").lower() == "urgent":
        return True
    return re.match(r"[12](\D|$)", _header(mail, "X-Priority")) is not None


def _visible(html: str) -> str:
    reader = _Visible()
    reader.feed(html)
    reader.close()
    return "".join(reader.words)


class _Visible(HTMLParser):
    """Collects the text that a reader would see."""

    _HIDDEN = frozenset({"script", "style", "head", "title", "template"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in self._HIDDEN
        self.words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in self._HIDDEN))
        self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)
