"""Mail as it comes: odd encodings, nesting, attachments of every kind."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from email.message import EmailMessage

from benchmarks.adverse.case import Case
from benchmarks.adverse.pdf_making import drawn, prose

HEAD = b"From: jo@x.example\r\nTo: al@x.example\r\nSubject: Pump\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n"


def letter(body: str = "The pump is shut until May.", subject: str = "Pump") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "Jo <jo@x.example>",
        "al@x.example",
        subject,
    )
    message["Date"], message["MIME-Version"], message["Message-ID"] = (
        "Thu, 4 Mar 2021 10:00:00 +0100",
        "1.0",
        "<1@x>",
    )
    del message["MIME-Version"]
    message.set_content(body)
    return message


def raw(kind: bytes, body: bytes, more: bytes = b"") -> bytes:
    return HEAD + b"Content-Type: " + kind + b"\r\n" + more + b"\r\n" + body


def _nested(depth: int) -> bytes:
    message = letter("At the bottom.", "Level 0")
    for level in range(1, depth):
        outer = letter(f"Forwarded at level {level}.", f"Level {level}")
        outer.add_attachment(message)
        message = outer
    return message.as_bytes()


def _tnef() -> bytes:
    def attribute(level: int, id: int, kind: int, data: bytes) -> bytes:
        return (
            struct.pack("<BHHI", level, id, kind, len(data))
            + data
            + struct.pack("<H", sum(data) & 0xFFFF)
        )

    return (
        struct.pack("<IH", 0x223E9F78, 1)
        + attribute(1, 0x9006, 0x0008, struct.pack("<I", 0x10000))
        + attribute(1, 0x8004, 0x0001, b"Pump\0")
        + attribute(1, 0x800C, 0x0002, b"The body is in the data file.\0")
        + attribute(2, 0x9002, 0x0006, struct.pack("<HIHHII", 1, 0, 0, 0, 0, 0)[:14])
        + attribute(2, 0x8010, 0x0001, b"note.txt\0")
        + attribute(2, 0x800F, 0x0006, b"Words of the note in the data file.")
    )


def cases() -> Iterator[Case]:
    yield Case(
        "plain.eml",
        letter().as_bytes(),
        ("Pump", "From: Jo <jo@x.example>", "The pump is shut until May."),
    )
    yield Case(
        "encoded-names.eml",
        raw(
            b"multipart/mixed; boundary=b",
            b"--b\r\nContent-Type: text/plain\r\n\r\nSee files.\r\n--b\r\nContent-Type: text/plain; name*=utf-8''Gr%C3%B6%C3%9Fe.txt\r\nContent-Disposition: attachment; filename*0*=utf-8''lange%20; filename*1*=Gr%C3%B6%C3%9Fe.txt\r\n\r\nInner.\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=\"=?utf-8?B?w5xiZXJzaWNodC50eHQ=?=\"\r\n\r\nOther.\r\n--b--\r\n",
        ),
        ("See files.",),
        members=("lange Größe.txt", "Übersicht.txt"),
    )
    yield Case(
        "encoded-subject.eml",
        raw(b"text/plain", b"Words.").replace(
            b"Subject: Pump", b"Subject: =?iso-8859-1?Q?Gr=F6=DFe?= =?utf-8?B?IOKCrDU=?="
        ),
        ("Größe €5", "Words."),
    )
    yield Case(
        "raw-utf8-header.eml",
        raw(b"text/plain; charset=utf-8", "Wörter.".encode()).replace(b"Pump", "Größe".encode()),
        ("Größe", "Wörter."),
    )
    yield Case(
        "latin1-is-1252.eml",
        raw(
            b"text/plain; charset=iso-8859-1",
            "It’s 5 € – “cheap”.".encode("cp1252"),
            b"Content-Transfer-Encoding: 8bit\r\n",
        ),
        ("It’s 5 € – “cheap”.",),
    )
    yield Case(
        "unknown-charset.eml",
        raw(
            b"text/plain; charset=x-unknown",
            "Größe".encode(),
            b"Content-Transfer-Encoding: 8bit\r\n",
        ),
        ("Größe",),
    )
    yield Case(
        "html-only.eml",
        raw(b"text/html; charset=utf-8", b"<p>The <b>pump</b> is shut.</p><style>p{}</style>"),
        ("The pump is shut.",),
        ("<b>", "p{}"),
    )
    yield Case(
        "alternative.eml",
        raw(
            b"multipart/alternative; boundary=b",
            b"--b\r\nContent-Type: text/plain\r\n\r\nThe pump is shut.\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>The pump is shut.</p>\r\n--b--\r\n",
        ),
        ("The pump is shut.",),
    )
    yield Case(
        "alternative-stub.eml",
        raw(
            b"multipart/alternative; boundary=b",
            b"--b\r\nContent-Type: text/plain\r\n\r\nThis message needs an HTML reader.\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>The pump is shut until the fourth of May because of repairs.</p>\r\n--b--\r\n",
        ),
        ("The pump is shut until the fourth of May",),
    )
    yield Case(
        "html-and-text-parts.eml",
        raw(
            b"multipart/mixed; boundary=b",
            b"--b\r\nContent-Type: text/html\r\n\r\n<p>First in HTML.</p>\r\n--b\r\nContent-Type: text/plain\r\n\r\nThen a list footer.\r\n--b--\r\n",
        ),
        ("First in HTML.", "Then a list footer."),
    )
    yield Case(
        "bad-base64.eml",
        raw(
            b"text/plain",
            b"VGhlIHB1bXAgaXMgc2h1dC4=!!*\r\nVGlsbCBNYXku",
            b"Content-Transfer-Encoding: base64\r\n",
        ),
        ("The pump is shut.",),
    )
    yield Case(
        "bad-quoted.eml",
        raw(
            b"text/plain; charset=utf-8",
            b"Gr=C3=B6=C3=9Fe =ZZ and =\r\nend=",
            b"Content-Transfer-Encoding: quoted-printable\r\n",
        ),
        ("Größe", "end"),
    )
    yield Case(
        "no-boundary.eml",
        raw(b"multipart/mixed", b"--x\r\n\r\nThe words.\r\n--x--"),
        ("The words.",),
    )
    yield Case(
        "no-end-boundary.eml",
        raw(
            b"multipart/mixed; boundary=b", b"--b\r\nContent-Type: text/plain\r\n\r\nThe words.\r\n"
        ),
        ("The words.",),
    )
    yield Case(
        "preamble-only.eml",
        raw(b"multipart/mixed; boundary=zzz", b"The words are before any part.\r\n"),
        ("The words are before any part.",),
    )
    yield Case(
        "nested-2.eml", _nested(3), ("Level 2", "Forwarded at level 2."), members=("Level 1.eml",)
    )
    yield Case("nested-60.eml", _nested(60), ("Level 59",), states=("read", "unreadable", "limit"))
    yield Case(
        "calendar.eml",
        raw(
            b"multipart/alternative; boundary=b",
            b"--b\r\nContent-Type: text/plain\r\n\r\nCome to it.\r\n--b\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Pump day\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--b--\r\n",
        ),
        ("Come to it.",),
    )
    yield Case(
        "calendar-only.eml",
        raw(
            b"text/calendar",
            b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Pump day in Lisbon\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        ),
        ("Pump",),
    )
    yield Case(
        "report.eml",
        raw(
            b"multipart/report; boundary=b",
            b"--b\r\nContent-Type: text/plain\r\n\r\nIt bounced.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; al@x.example\r\nStatus: 5.1.1\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: old\r\n--b--\r\n",
        ),
        ("It bounced.",),
    )
    yield Case(
        "pgp.eml",
        raw(
            b'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b',
            b"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\nContent-Type: application/octet-stream; name=encrypted.asc\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQEM\r\n-----END PGP MESSAGE-----\r\n--b--\r\n",
        ),
        states=("read", "encrypted"),
    )
    message = letter("A file.")
    message.add_attachment(
        drawn(prose),
        maintype="application",
        subtype="octet-stream",
        filename="../../../etc/x:y\u202e.pdf",
    )
    yield Case("unsafe-name.eml", message.as_bytes(), ("A file.",))
    yield Case("headers-only.eml", HEAD + b"\r\n", ("Pump",))
    yield Case(
        "folded.eml",
        raw(b"text/plain", b"Words.").replace(
            b"Subject: Pump", b"Subject: A long\r\n subject that\r\n\tgoes on"
        ),
        ("A long subject that goes on",),
    )
    yield Case(
        "nul.eml", raw(b"text/plain", b"Wor\0ds of the letter." + b" x" * 1000), ("the letter.",)
    )
    yield Case(
        "external-body.eml",
        raw(
            b'message/external-body; access-type=URL; URL="http://x"',
            b"Content-Type: text/plain\r\n\r\nphantom",
        ),
        states=("read",),
    )
    yield Case(
        "inline-text.eml",
        raw(
            b"multipart/mixed; boundary=b",
            b"--b\r\nContent-Type: text/plain\r\n\r\nThe words.\r\n--b\r\nContent-Type: text/plain; name=more.txt\r\nContent-Disposition: inline; filename=more.txt\r\n\r\nMore words.\r\n--b--\r\n",
        ),
        ("The words.",),
        members=("more.txt",),
    )
    yield Case(
        "data-file.dat", _tnef(), ("message.txt", "note.txt"), members=("message.txt", "note.txt")
    )
    mbox = b"".join(
        b"From jo@x Thu Mar  4 10:00:00 2021\n"
        + letter(f"Body {n} ends.\n\n>From here it goes on.", f"Subject {n}").as_bytes()
        + b"\n\n"
        for n in range(3)
    )
    yield Case("box.mbox", mbox, members=("Subject 0.eml", "Subject 1.eml", "Subject 2.eml"))
