"""CSV and its kin."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.adverse.case import Case


def cases() -> Iterator[Case]:
    yield Case(
        "semicolon.csv",
        "Name;Preis\nGröße;1,50\nMaß;2,75\n".encode("cp1252"),
        ("Name: Größe; Preis: 1,50", "Name: Maß; Preis: 2,75"),
    )
    yield Case("tab.csv", b"Name\tPrice\nBolt\t1,50\nNut\t2,75\n", ("Name: Bolt; Price: 1,50",))
    yield Case(
        "newlines.csv",
        b'Name,Note\nBolt,"first line\nsecond line, with comma"\nNut,"said ""no"""\n',
        ("Name: Bolt; Note: first line second line, with comma", 'Name: Nut; Note: said "no"'),
    )
    yield Case(
        "utf16.csv", "Name\tPrice\r\nBölt\t3\r\n".encode("utf-16"), ("Name: Bölt; Price: 3",)
    )
    yield Case(
        "utf16-no-mark.csv",
        "Name,Price\r\nBölt,3\r\n".encode("utf-16-le"),
        ("Name: Bölt; Price: 3",),
    )
    yield Case(
        "ragged.csv", b"Name,Price\nBolt,3,extra words\nNut\n", ("Bolt", "3", "extra words", "Nut")
    )
    yield Case(
        "open-quote.csv",
        b'Name,Note\nBolt,"never closed\nNut,4\nRing,5\n',
        ("Bolt", "never closed", "Nut", "Ring"),
    )
    yield Case(
        "inches.csv",
        b'Size,Note\n5" pipe,good\n"7"" pipe",bad\n',
        ('Size: 5" pipe; Note: good', 'Size: 7" pipe; Note: bad'),
    )
    yield Case(
        "backslash.csv",
        b'Name,Path\nA,C:\\new\\table\nB,"say \\"hi\\""\n',
        ("C:\\new\\table", "hi"),
    )
    yield Case(
        "semicolons-decimal.csv",
        b"City;Share\nOslo;12,5\nRome;7,25\nBonn;3,125\n",
        ("City: Oslo; Share: 12,5",),
    )
    yield Case(
        "comment-head.csv",
        b"# exported 2021-03-04\n# by tool\nName,Price\nBolt,3\nNut,4\n",
        ("exported 2021-03-04", "Bolt", "Nut"),
    )
    yield Case("duplicate-heads.csv", b"Name,Value,Value\nBolt,3,4\n", ("Bolt", "3", "4"))
    yield Case("nul.csv", b"Name,Price\nBo\0lt,3\n" + b"Nut,4\n" * 300, ("Bolt",))
    yield Case("sep.csv", b"sep=^\nName^Price\nBolt^3\n", ("Name: Bolt; Price: 3",))
    yield Case(
        "wide.csv",
        (
            ",".join(f"c{n}" for n in range(20_000))
            + "\n"
            + ",".join(str(n) for n in range(20_000))
            + "\n"
        ).encode(),
        ("c19999: 19999",),
    )
