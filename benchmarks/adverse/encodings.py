"""Plain text in many encodings, and files under wrong names."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.adverse.case import Case

RUSSIAN = "Гарантия действует три года и распространяется на все детали насоса. Заявление подают в контору в течение тридцати дней."


JAPANESE = (
    "保証期間は三年間です。部品の交換は有料です。お問い合わせは東京の事務所までお願いします。"
)


CHINESE = "保修期为三年，涵盖水泵的所有零件。请在三十天内向里斯本办事处提出索赔。"


TAIWANESE = "保固期為三年，涵蓋水泵的所有零件。請在三十天內向里斯本辦事處提出索賠。"


GERMAN = (
    "Die Gewähr dauert drei Jahre. Ansprüche sind binnen dreißig Tagen zu stellen – „schriftlich“."
)


FRENCH = "La garantie dure trois années. Les réclamations doivent être adressées au siège, rue de l’Évêché."


ENGLISH = "The warranty lasts for three years and covers every part of the pump."


POLISH = (
    "Gwarancja trwa trzy lata. Zgłoszenie należy złożyć w ciągu trzydziestu dni w siedzibie spółki."
)


GREEK = "Η εγγύηση διαρκεί τρία χρόνια και καλύπτει όλα τα μέρη της αντλίας."


KOREAN = "보증 기간은 삼 년이며 펌프의 모든 부품을 포함합니다. 청구는 서른 날 안에 하십시오."


ARABIC = "الضمان يدوم ثلاث سنوات ويشمل كل أجزاء المضخة."


HEBREW = "האחריות נמשכת שלוש שנים וכוללת את כל חלקי המשאבה."


READ_ONLY = ("read",)


def _encodings() -> Iterator[Case]:
    for text, encodings in (
        (RUSSIAN, ("koi8-r", "cp1251", "cp866", "iso8859-5", "utf-16-le", "utf-16-be")),
        (JAPANESE, ("shift_jis", "euc_jp", "iso2022_jp", "utf-16-le", "utf-16-be")),
        (CHINESE, ("gb18030", "big5hkscs", "utf-16-le", "utf-16-be")),
        (GERMAN, ("cp1252", "utf-16", "utf-32", "utf-8-sig")),
        (
            GERMAN.replace("–", "-").replace("„", '"').replace("“", '"'),
            ("latin-1", "cp850", "cp437", "mac_roman"),
        ),
        (FRENCH, ("cp1252", "mac_roman")),
        (ENGLISH, ("cp037", "cp500", "utf-16-le", "utf-32-be", "utf-7")),
        (POLISH, ("cp1250", "iso8859-2")),
        (GREEK, ("cp1253", "iso8859-7")),
        (KOREAN, ("euc_kr", "utf-16-le")),
        (ARABIC, ("cp1256",)),
        (HEBREW, ("cp1255",)),
    ):
        for encoding in encodings:
            said = TAIWANESE if encoding == "big5hkscs" else text
            yield Case(
                f"{encoding}-{ord(said[0]):x}.txt",
                f"{said}\n\n{said} 2\n".encode(encoding),
                (said + " 2",),
            )


def plain() -> Iterator[Case]:
    yield from _encodings()
    yield Case("long-chinese.txt", ("x" + CHINESE * 4000).encode(), ("x" + CHINESE[:10],))
    yield Case(
        "cut-utf8.txt",
        (GERMAN * 3).encode()[:-1] + b"\xe2\x80",
        ("dreißig Tagen",) * 0,
        states=READ_ONLY,
    )
    yield Case(
        "utf8-one-bad-byte.txt",
        ("Straße über Köln. " * 50).encode()
        + b"Caf\xe9 zu "
        + ("Grüße für Zoë. " * 50).encode()
        + "Schluß.".encode(),
        ("Schluß.",),
    )
    yield Case(
        "utf8-bad-early.txt",
        b"\xa9 2019. " + ("Straße über Köln – „Gruß“. " * 50).encode() + "Schluß.".encode(),
        ("Schluß.",),
        ("Ã",),
    )
    yield Case(
        "nulls.txt",
        b"The first line.\x00\x00\x00\nThe second line.\n" * 1 + b"x" * 2000,
        ("The first line.", "The second line."),
    )
    yield Case(
        "nul-separated.txt",
        b"alpha beta\0gamma delta\0epsilon zeta\0" * 30,
        states=("read", "unsupported"),
    )
    yield Case(
        "ansi.txt",
        b"\x1b[31mred words\x1b[0m and plain ones\n" * 3,
        ("red words",) * 0,
        states=("read", "unsupported"),
    )
    yield Case(
        "form-feeds.txt", b"page one\fpage two\fpage three", ("page one", "page two", "page three")
    )
    yield Case(
        "old-mac.txt",
        b"first line\rsecond line\rthird line\r",
        ("first line", "second line", "third line"),
    )
    yield Case("empty.txt", b"", states=("empty",))
    yield Case("blank.txt", b" \n\t\n\xef\xbb\xbf", states=("empty",))
    yield Case("one-letter.txt", b"x", ("x",))
    yield Case(
        "random.txt", bytes((n * 7919 + n * n) % 256 for n in range(5000)), states=("unsupported",)
    )
    yield Case(
        "looks-like-mail.txt",
        b"From: the desk of\nDate: never\n\nDear all, the pump is shut.",
        ("the pump is shut.",),
    )
    yield Case(
        "bidi.txt",
        "Pay \u202ereverse\u202c now\u200b zero\u00adwidth".encode(),
        ("Pay reverse now zerowidth",),
    )
    yield Case("a" * 240 + ".txt", b"A long name.", ("A long name.",))
    yield Case("new\nline\t\x01.txt", b"A strange name.", ("A strange name.",))
    yield Case("no-suffix", b"Just words without a suffix.", ("Just words",))
    yield Case(".hidden", b"Words in a hidden file.", ("Words in a hidden file.",))
    yield Case("wrong.pdf", b"Only words, no PDF.", ("Only words, no PDF.",))
    yield Case("wrong.xlsx", b"a,b\n1,2\n", ("a",))


def cases() -> Iterator[Case]:
    yield from plain()
