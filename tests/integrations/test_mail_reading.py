"""A mail becomes a row, whatever rule it breaks."""

import string
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.imap import READ_BYTES, sync
from integrations.mail import SNIPPET_CHARS, MailMessage, clean, read_message
from tests.integrations.peers import MailServer


def read(raw: bytes, flags: bytes = b"", size: int = 0) -> MailMessage:
    meta = b"1 (UID 7 FLAGS (%s) RFC822.SIZE %d BODY[]<0> {%d}" % (flags, size or len(raw), len(raw))
    return read_message([(meta, raw), b")"], READ_BYTES)


def test_a_mail_keeps_what_a_list_of_mails_shows() -> None:
    message = read(
        b"From: =?utf-8?Q?J=C3=BCrgen?= <j@weiss.example>\r\nTo: A <a@x.example>, b@x.example\r\n"
        b"Subject: =?utf-8?B?R3LDtsOfZQ==?= und\r\n =?iso-8859-1?Q?Ma=DFe?=\r\n"
        b"Message-ID: <1@weiss.example>\r\n"
        b"Date: Mon, 05 Jan 2026 09:00:00 +0100\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        b"Erste  Zeile\r\nzweite Zeile\r\n",
        flags=rb"\Seen $Label1",
        size=4711,
    )
    assert message == MailMessage(
        uid=7,
        message_id="<1@weiss.example>",
        subject="Größe und Maße",
        from_address="j@weiss.example",
        to=("a@x.example", "b@x.example"),
        date=datetime(2026, 1, 5, 8, 0, tzinfo=UTC),
        size=4711,
        flags=("\\Seen", "$Label1"),
        snippet="Erste Zeile zweite Zeile",
        has_attachments=False,
        important=False,
    )


def test_the_snippet_of_an_html_mail_is_what_a_reader_sees() -> None:
    html = (
        b"<head><title>t</title><style>p{}</style></head><p>Hello&nbsp;<b>quay</b></p><script>no()</script>"
    )
    assert read(b"Content-Type: text/html\n\n" + html).snippet == "Hello quay"


@pytest.mark.parametrize(
    ("header", "important"),
    [
        (b"Importance: High", True),
        (b"X-Priority: 1 (Highest)", True),
        (b"X-Priority: 2", True),
        (b"Priority: urgent", True),
        (b"Importance: normal", False),
        (b"X-Priority: 3", False),
        (b"X-Priority: 10", False),
        (b"Subject: URGENT", False),
    ],
)
def test_important_is_what_the_sender_marked(header: bytes, important: bool) -> None:
    assert read(header + b"\n\nbody").important is important


def test_a_long_mixed_mail_that_was_read_in_part_counts_as_having_attachments() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nsee below\n"
    assert read(raw, size=READ_BYTES + 1).has_attachments
    assert not read(raw, size=900).has_attachments


def test_a_text_cut_in_the_middle_of_a_letter_keeps_the_letters_before() -> None:
    raw = b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + "Größe ü".encode()
    assert read(raw[:-1]).snippet == "Größe"


def test_text_that_no_database_takes_is_made_into_text_that_each_takes() -> None:
    assert clean(" a\ud800b\x00c\r\n\td ", 100) == "a?b c d"
    assert clean("abcdef", 3) == "abc"


def test_each_broken_mail_of_the_mailbox_is_kept_with_what_can_be_read(large_mailbox: MailServer) -> None:
    found = {message.uid: message for batch in sync(large_mailbox.account) for message in batch.messages}

    assert found[14].message_id is None
    assert (found[28].date, found[28].defects) == (None, ("date",))
    assert found[42].date == datetime(2026, 1, 5, 8, 15, tzinfo=UTC)
    assert (found[56].date, found[56].defects) == (None, ())
    assert found[70].subject == "Größe geändert, siehe Anhang"
    assert found[84].subject == "Hallo Welt and äö"
    assert found[98].snippet == "Die Größe stimmt."
    assert found[112].snippet == "Fünf Kräne, drei Tore."
    assert found[126].snippet == "The closing boundary is missing"
    assert found[140].snippet.startswith("The last bytes are gone")
    assert found[154].to == ()
    assert len(found[168].subject) == 998
    assert "\x00" not in found[182].snippet
    assert found[196].subject == "Report 195"
    assert found[210].message_id


def test_the_mailbox_holds_every_kind_that_matters(large_mailbox: MailServer) -> None:
    found = [message for batch in sync(large_mailbox.account) for message in batch.messages]

    assert any(message.has_attachments for message in found)
    assert any(message.important for message in found)
    assert any(message.size > READ_BYTES for message in found)
    scripts = ("Ж", "日", "회", "ض", "ש", "ไ", "भ", "ή", "🚚", "ó")
    subjects = " ".join(message.subject + message.snippet for message in found)
    assert [letter for letter in scripts if letter.lower() not in subjects.lower()] == []


NAMES = ["Subject", "From", "To", "Date", "Message-ID", "Content-Type", "Content-Disposition", "X-Priority"]
NAMES += ["Content-Transfer-Encoding", "Importance", "Received"]
ODD = rb"""=?utf-8?B?w7w=?=|=?utf-8?Q?=C3|=?utf-16?B?/w==?=|=?idna?Q?xn--?=|=?hex?B?AA==?=|multipart/mixed|
; boundary=b|; charset=punycode|base64|uuencode|<a@b>|@|,|(|"|Mon, 32 Foo 99999 99:99 +9999|attachment|
1 Jan 0001 00:00:00 +2359|;filename*0*=utf-8''%ff|[|:;"""
PIECES = st.sampled_from([*ODD.split(b"|"), b"\n ", b"\xe4", b"\x00", b"\\", b"\xed\xa0\x80"])
VALUES = st.lists(st.one_of(PIECES, st.binary(max_size=12)), max_size=6).map(b"".join)
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=8)


@settings(deadline=None, max_examples=300)
@given(headers=HEADERS, body=st.one_of(st.binary(max_size=200), PIECES.map(lambda part: b"--b\n\n" + part)))
def test_no_mail_stops_the_reading_and_no_text_of_it_is_invalid(
    headers: list[tuple[str, bytes]], body: bytes
) -> None:
    raw = b"".join(name.encode() + b": " + value + b"\n" for name, value in headers) + b"\n" + body
    message = read(raw)

    assert message.uid == 7
    for text in (
        message.subject,
        message.from_address,
        message.snippet,
        message.message_id or "",
        *message.to,
    ):
        text.encode("utf-8")
        assert not set(text) & set(map(chr, range(32)))
    assert len(message.snippet) <= SNIPPET_CHARS
    assert message.date is None or message.date.utcoffset().total_seconds() == 0


@given(flags=st.binary(max_size=30), label=st.text(string.printable, max_size=20))
def test_odd_flags_do_no_harm(flags: bytes, label: str) -> None:
    assert read(b"Subject: x\n\n" + label.encode(), flags=flags).uid == 7
