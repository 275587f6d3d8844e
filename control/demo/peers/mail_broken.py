"""Mails that break a rule, as real mailboxes have them: each function breaks one, byte by byte."""

from collections.abc import Callable

from control.demo.peers.mail_kinds import OWNER, Moment


def _head(moment: Moment, **instead: str) -> bytes:
    fields = {
        "From": "Old Gateway <gateway@legacy.example>",
        "To": OWNER,
        "Date": moment.date(),
        "Message-ID": moment.message_id("legacy.example"),
        "Subject": f"Report {moment.number}",
    } | {name.replace("_", "-"): value for name, value in instead.items()}
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value).encode("utf-8")


def no_message_id(moment: Moment) -> bytes:
    return _head(moment, Message_ID="") + b"\nA script sent this with no Message-ID.\n"


def impossible_date(moment: Moment) -> bytes:
    return _head(moment, Date="Fri, 31 Feb 2026 25:61:00 +9900") + b"\nThe sender's clock is wrong.\n"


def two_digit_year(moment: Moment) -> bytes:
    return _head(moment, Date="5 Jan 26 08:15 GMT") + b"\nA date in the form of 1982.\n"


def no_date(moment: Moment) -> bytes:
    return _head(moment, Date="") + b"\nNo Date header at all.\n"


def raw_eight_bit_headers(moment: Moment) -> bytes:
    head = _head(moment, Subject="")
    return head + "Subject: Größe geändert, siehe Anhang\n".encode("latin-1") + b"\nNo encoded words.\n"


def bad_encoded_word(moment: Moment) -> bytes:
    return (
        _head(moment, Subject="=?utf-8?B?SGFsbG8gV2VsdA=?= and =?x-none?Q?=E4=F6?=") + b"\nHalf a padding.\n"
    )


def unknown_charset(moment: Moment) -> bytes:
    body = "Content-Type: text/plain; charset=x-mac-klingon\n\nDie Größe stimmt.\n"
    return _head(moment) + b"MIME-Version: 1.0\n" + body.encode()


def wrong_charset(moment: Moment) -> bytes:
    head = b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    return _head(moment) + head + b"\n" + "Fünf Kräne, drei Tore.\n".encode("latin-1")


def unclosed_boundary(moment: Moment) -> bytes:
    head = b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="never-closed"\n\n'
    part = b"--never-closed\nContent-Type: text/plain\n\nThe closing boundary is missing"
    return _head(moment) + head + part


def broken_base64(moment: Moment) -> bytes:
    head = (
        b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
    )
    return _head(moment) + head + b"VGhlIGxhc3QgYnl0ZXMgYXJlIGdvbmU*!\n"


def malformed_addresses(moment: Moment) -> bytes:
    return _head(moment, From='"Unclosed <gate@@legacy..example', To="undisclosed-recipients:;") + b"\nWho?\n"


def very_long_line(moment: Moment) -> bytes:
    return _head(moment, Subject="long " * 400) + b"\n" + b"0123456789" * 1_200 + b"\n"


def nul_and_controls(moment: Moment) -> bytes:
    return _head(moment) + b"\nBefore\x00after, bell \x07 and escape \x1b[31m red.\n"


def doubled_headers(moment: Moment) -> bytes:
    return (
        _head(moment)
        + b"Subject: a second subject\nDate: yesterday\nFrom: another@legacy.example\n\nTwice.\n"
    )


def not_a_header(moment: Moment) -> bytes:
    return (
        _head(moment) + b">From gateway Mon Jan  5 08:00:00 2026\nX-Late: 1\n\nA stray line in the header.\n"
    )


BROKEN: tuple[Callable[[Moment], bytes], ...] = (
    no_message_id,
    impossible_date,
    two_digit_year,
    no_date,
    raw_eight_bit_headers,
    bad_encoded_word,
    unknown_charset,
    wrong_charset,
    unclosed_boundary,
    broken_base64,
    malformed_addresses,
    very_long_line,
    nul_and_controls,
    doubled_headers,
    not_a_header,
)
