"""The kinds of mail that a mailbox really holds, one function each."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_string, policy
from email.message import EmailMessage
from email.utils import format_datetime
from random import Random

from control.demo.peers.mail_texts import LISTS, PEOPLE, TOPICS

OWNER = "Callboard Demo <demo@callboard.example>"
_STATUS = (
    "Content-Type: message/delivery-status\n\n"
    "Reporting-MTA: dns; relay.example\n\n"
    "Final-Recipient: rfc822; gone@riverstone.example\nAction: failed\nStatus: 5.1.1\n"
    "Diagnostic-Code: smtp; 550 5.1.1 User unknown\n"
)
Topic = tuple[str, str, tuple[str, ...]]


class Moment:
    """Where the mailbox stands while it is written: the clock, the message's number, the open threads."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.number = 0
        self.clock = datetime(2026, 1, 5, 6, 30, tzinfo=UTC)
        self.threads: list[tuple[Topic, list[str]]] = []

    def advance(self, number: int) -> None:
        self.number = number
        self.clock += timedelta(minutes=self.random.randint(3, 240), seconds=self.random.randint(0, 59))

    def date(self) -> str:
        zone = timezone(timedelta(minutes=self.random.choice((0, 60, 120, -300, -480, 330, 345, 540, 765))))
        return format_datetime(self.clock.astimezone(zone))

    def message_id(self, domain: str = "mail.harbourlight.example") -> str:
        return f"<{self.clock:%Y%m%d%H%M%S}.{self.number:05d}.{self.random.getrandbits(40):010x}@{domain}>"

    def topic(self) -> Topic:
        return self.random.choice(TOPICS)


def written(message: EmailMessage, moment: Moment) -> bytes:
    """The message's bytes. Boundaries are set here: the email package would draw them at random."""
    for at, part in enumerate(part for part in message.walk() if part.is_multipart()):
        if part.get_content_maintype() == "multipart":
            part.set_boundary(f"=_{moment.number:05d}_{at}_{moment.random.getrandbits(48):012x}")
    return message.as_bytes(policy=policy.SMTP.clone(linesep="\n", max_line_length=78))


def _begin(moment: Moment, subject: str, sender: tuple[str, str] | None = None) -> EmailMessage:
    name, address = sender or moment.random.choice(PEOPLE)
    message = EmailMessage()
    message["Received"] = (
        f"from mx{moment.random.randint(1, 4)}.relay.example (198.51.100.{moment.random.randint(1, 254)}) "
        f"by mail.callboard.example with ESMTPS id {moment.random.getrandbits(48):012x}; {moment.date()}"
    )
    message["Date"] = moment.date()
    quoted = '"' + name.replace('"', "") + '"' if set(name) & set(",()'") else name
    message["From"] = f"{quoted} <{address}>"
    message["To"] = OWNER
    message["Subject"] = subject
    message["Message-ID"] = moment.message_id(address.rpartition("@")[2])
    return message


def _text(moment: Moment, topic: Topic) -> str:
    sentences = [moment.random.choice(topic[2]) for _ in range(moment.random.randint(2, 9))]
    return "\n\n".join(sentences) + "\n"


def plain(moment: Moment) -> bytes:
    """One text part; the transfer encoding varies as it does between senders."""
    topic = moment.topic()
    message = _begin(moment, topic[1])
    encoding = moment.random.choice(("quoted-printable", "base64", "8bit"))
    message.set_content(_text(moment, topic), charset="utf-8", cte=encoding)
    message["Content-Language"] = topic[0]
    return written(message, moment)


def thread(moment: Moment) -> bytes:
    """A reply in a growing thread, or the start of one; References run up to forty messages."""
    if not moment.threads or moment.random.random() < 0.05:
        moment.threads.append((moment.topic(), []))
    topic, earlier = moment.random.choice(moment.threads[-3:])
    message = _begin(moment, ("Re: " if earlier else "") + topic[1])
    body = _text(moment, topic)
    if earlier:
        message["In-Reply-To"] = earlier[-1]
        message["References"] = " ".join(earlier[-40:])
        body += "\n" + "\n".join("> " + line for line in topic[2]) + "\n"
    message.set_content(body)
    earlier.append(str(message["Message-ID"]))
    return written(message, moment)


def newsletter(moment: Moment) -> bytes:
    """Text and HTML of the same, with what bulk mail carries."""
    topic = moment.topic()
    message = _begin(moment, f"{topic[1]} | no. {moment.number}", ("Harbour Weekly", "weekly@press.example"))
    message["List-Unsubscribe"] = f"<https://press.example/leave?u={moment.random.getrandbits(64):x}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["Precedence"] = "bulk"
    message.set_content(_text(moment, topic))
    paragraphs = "".join(f"<p>{sentence} &mdash; <a href='#'>&rarr;</a></p>" for sentence in topic[2])
    style = "<style>p{margin:1em}</style><script>var seen = 1 < 2;</script>"
    message.add_alternative(
        f"<html lang='{topic[0]}'><head><title>x</title>{style}</head><body>{paragraphs}</body></html>",
        subtype="html",
    )
    return written(message, moment)


def invoice(moment: Moment) -> bytes:
    """A mail with attachments, whose names need encoding."""
    topic = moment.topic()
    number = 10_000 + moment.number
    message = _begin(
        moment, f"Invoice {number} / {topic[1]}", ("Ledgerline Billing", "billing@ledgerline.example")
    )
    message.set_content(_text(moment, topic))
    pdf = b"%PDF-1.4\n" + moment.random.randbytes(moment.random.randint(2_000, 30_000))
    message.add_attachment(
        pdf, maintype="application", subtype="pdf", filename=f"Rechnung_{number}_Größe.pdf"
    )
    if moment.random.random() < 0.4:
        table = "item,amount\nmooring,120.50\nwater,14.00\n".encode("utf-16")
        message.add_attachment(table, maintype="text", subtype="csv", filename=f"{topic[1][:20]}.csv")
    return written(message, moment)


def photos(moment: Moment) -> bytes:
    """HTML alone with an inline picture, as telephones send it; large enough to be read in part only."""
    message = _begin(moment, "Photos from the quay")
    message.set_content(
        "<p>Three pictures of the damaged crate.<br><img src='cid:crate'></p>", subtype="html"
    )
    message.add_related(b"\x89PNG\r\n\x1a\n" + moment.random.randbytes(90_000), "image", "png", cid="<crate>")
    return written(message, moment)


def bounce(moment: Moment) -> bytes:
    """A delivery status notification (RFC 3464) as `multipart/report`, with its null sender."""
    lost = _begin(moment, moment.topic()[1])
    lost.set_content("This one never arrived.\n")
    message = _begin(
        moment, "Undelivered Mail Returned to Sender", ("Mail Delivery System", "MAILER-DAEMON@relay.example")
    )
    message["Return-Path"] = "<>"
    message["Auto-Submitted"] = "auto-replied"
    message.set_content("The address gone@riverstone.example does not exist here.\n")
    status = message_from_string(_STATUS, policy=policy.default)
    message.make_mixed()
    message.attach(status)
    message.attach(_wrapped(lost))
    message.set_type("multipart/report")
    message.set_param("report-type", "delivery-status")
    return written(message, moment)


def _wrapped(message: EmailMessage) -> EmailMessage:
    wrapper = EmailMessage()
    wrapper.set_content(message)
    return wrapper


def mailing_list(moment: Moment) -> bytes:
    """A post with the headers of RFC 2369 and a tag in its subject."""
    name, domain = moment.random.choice(LISTS)
    topic = moment.topic()
    message = _begin(moment, f"[{name}] {topic[1]}")
    message["List-Id"] = f"{name} <{domain}>"
    message["List-Post"] = f"<mailto:post@{domain}>"
    message["List-Archive"] = f"<https://{domain}/archive/>"
    message["Cc"] = ", ".join(f"{first} <{address}>" for first, address in PEOPLE[2:5])
    message.set_content(_text(moment, topic) + f"\n-- \n{name}\nhttps://{domain}/\n")
    return written(message, moment)


def alert(moment: Moment) -> bytes:
    """A machine's mail that its sender marked important, each in another of the three ways."""
    message = _begin(moment, f"[ALERT] Cold store {moment.random.randint(1, 9)} above 5 °C")
    mark = moment.random.choice(
        (("Importance", "High"), ("X-Priority", "1 (Highest)"), ("Priority", "urgent"))
    )
    message[mark[0]] = mark[1]
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        f"Sensor {moment.random.randint(100, 999)} reads {moment.random.uniform(5, 12):.1f} °C.\n"
    )
    return written(message, moment)


KINDS: dict[str, Callable[[Moment], bytes]] = {
    "plain": plain,
    "thread": thread,
    "newsletter": newsletter,
    "invoice": invoice,
    "photos": photos,
    "bounce": bounce,
    "list": mailing_list,
    "alert": alert,
}
