"""HTML, Markdown and EPUB."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

from benchmarks.adverse.case import Case
from benchmarks.adverse.encodings import (
    CHINESE,
    GERMAN,
    JAPANESE,
    RUSSIAN,
)


def html() -> Iterator[Case]:
    page = "<html><head><meta charset={}><title>T</title></head><body><p>{}</p></body></html>"
    yield Case("declared.html", page.format("koi8-r", RUSSIAN).encode("koi8-r"), (RUSSIAN,))
    yield Case(
        "latin1-is-1252.html",
        page.format("iso-8859-1", "It’s 5 € – “cheap”.").encode("cp1252"),
        ("It’s 5 € – “cheap”.",),
    )
    yield Case(
        "ascii-is-1252.html",
        page.format("us-ascii", "It’s 5 € more.").encode("cp1252"),
        ("It’s 5 € more.",),
    )
    yield Case("x-sjis.html", page.format("x-sjis", JAPANESE).encode("cp932"), (JAPANESE,))
    yield Case(
        "gb2312-is-gbk.html",
        page.format("gb2312", "朱镕基和喆先生" + CHINESE).encode("gbk"),
        ("朱镕基和喆先生",),
    )
    yield Case("wrong-charset.html", page.format("utf-8", GERMAN).encode("cp1252"), (GERMAN,))
    yield Case("utf16.html", page.format("utf-16", GERMAN).encode("utf-16"), (GERMAN,))
    yield Case(
        "http-equiv.html",
        f'<meta http-equiv="Content-Type" content="text/html; charset=windows-1251"><p>{RUSSIAN}'.encode(
            "cp1251"
        ),
        (RUSSIAN,),
    )
    yield Case(
        "late-charset.html",
        (f"<html><head><!-- {'x' * 5000} --><meta charset=windows-1251></head><p>{RUSSIAN}").encode(
            "cp1251"
        ),
        (RUSSIAN,),
    )
    yield Case(
        "script.html",
        b"<html><head><script>var a='no1';</script><style>no2{}</style></head><body>One<script>no3</script> two<noscript>no script here</noscript><!-- no4 --><template>no5</template></body></html>",
        ("One two",),
        ("no1", "no2", "no3", "no4", "no5"),
    )
    yield Case(
        "noscript-only.html",
        b"<html><body><noscript><p>All the words are in here.</p></noscript></body></html>",
        ("All the words are in here.",),
    )
    yield Case(
        "nested-tables.html",
        b"<html><body><table><tr><td>outer left</td><td><table><tr><td>inner a</td><td>inner b</td></tr></table></td><td>outer right</td></tr></table></body></html>",
        ("outer left", "inner a", "inner b", "outer right"),
    )
    yield Case(
        "entities.html",
        b"<html><body><p>Fish &amp; chips &lt;3 &copy; 2019 &#8364;5 &#x1F600; caf&eacute; &nbsp;end &notanentity; x&ampy</p></body></html>",
        ("Fish & chips <3 © 2019 €5", "café end"),
    )
    yield Case(
        "frames.html",
        b"<html><frameset><frame src='a.html'><noframes><body><p>Words for old browsers.</p></body></noframes></frameset></html>",
        ("Words for old browsers.",),
    )
    yield Case(
        "srcdoc.html",
        b"<html><body><p>Outside.</p><iframe srcdoc='&lt;p&gt;Inside the frame.&lt;/p&gt;'></iframe></body></html>",
        ("Outside.", "Inside the frame."),
    )
    yield Case(
        "details.html",
        b"<html><body><details><summary>More</summary><p>Folded words.</p></details></body></html>",
        ("More", "Folded words."),
    )
    yield Case(
        "definition.html",
        b"<html><body><dl><dt>Seal</dt><dd>keeps water in</dd><dt>Valve</dt><dd>lets it out</dd></dl></body></html>",
        ("Seal", "keeps water in", "Valve", "lets it out"),
    )
    yield Case(
        "form.html",
        b"<html><body><form><label>Name</label><input value='Henrietta'><textarea>Typed words</textarea><select><option>Red</option><option selected>Blue</option></select><button>Send</button></form></body></html>",
        ("Name",),
    )
    yield Case(
        "list-table.html",
        b"<html><body><ul><li>Rates:<table><tr><td>day</td><td>5</td></tr></table></li><li>End</li></ul></body></html>",
        ("Rates:", "day", "5", "End"),
    )
    yield Case(
        "self-closing.xhtml",
        b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="x.js"/></head><body><a id="p1"/><h1>The heading</h1><p>Words <i/>after.</p><div/><p>More.</p></body></html>',
        ("The heading", "Words after.", "More."),
    )
    yield Case(
        "svg.html",
        b"<html><body><p>Before</p><svg><text>Drawn words</text></svg><p>After</p></body></html>",
        ("Before", "After"),
    )
    yield Case(
        "math.html",
        b"<html><body><p>Area is <math><mi>a</mi> <mo>=</mo> <mi>b</mi></math> here</p></body></html>",
        ("Area is a = b here",),
    )
    yield Case(
        "unclosed.html",
        b"<html><body><p>One<p>Two<table><tr><td>Three<td>Four<tr><td>Five</body",
        ("One", "Two", "Three", "Four", "Five"),
    )
    yield Case(
        "rowspan.html",
        b"<html><body><table><tr><th>Day</th><th>Open</th></tr><tr><td rowspan=2>Monday</td><td>8 to 12</td></tr><tr><td>14 to 18</td></tr></table></body></html>",
        ("Day: Monday; Open: 8 to 12", "Open: 14 to 18"),
    )
    yield Case(
        "ruby.html",
        "<html><body><p><ruby>東京<rp>(</rp><rt>とうきょう</rt><rp>)</rp></ruby>へ</p></body></html>".encode(),
        ("東京",),
    )
    yield Case(
        "mhtml.mht",
        b'From: <Saved by Blink>\r\nSubject: The page\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; type="text/html"; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<html><body><p>Saved =\r\nwords.</p></body></html>\r\n--b--\r\n',
        ("The page", "Saved words."),
    )


def markdown() -> Iterator[Case]:
    yield Case("deep.md", b"> " * 5_000 + b"At the bottom.\n", states=("read", "limit"))
    yield Case(
        "deep-list.md",
        b"".join(b"  " * n + b"- item %d\n" % n for n in range(500)),
        states=("read", "limit"),
    )
    yield Case(
        "table.md",
        b"# T\n\n| A | B |\n|---|:-:|\n| x \\| y | `a|b` |\n| last | row |\n",
        ("x | y", "last"),
    )
    yield Case(
        "html.md",
        b"# T\n\nBefore <kbd>Ctrl</kbd> after.\n\n<table><tr><td>one</td><td>two</td></tr></table>\n\n<details>\n<summary>More</summary>\n\nInner *words*.\n\n</details>\n",
        ("Before Ctrl after.", "one", "two", "More", "Inner words."),
    )
    yield Case(
        "footnote.md",
        b"# T\n\nThe fee is due.[^1]\n\n[^1]: Unless delayed.\n",
        ("The fee is due.", "Unless delayed."),
    )
    yield Case(
        "reference.md",
        b"# T\n\nSee [the annex][a] and ![a picture of a pump](p.png).\n\n[a]: http://x.example\n",
        ("See the annex and a picture of a pump.",),
    )
    yield Case(
        "math.md",
        b"# T\n\nEnergy is $E=mc^2$ and *not* 2*3*4.\n\n```python\nx = 1\n```\n",
        ("Energy is $E=mc^2$", "x = 1"),
    )


def book(pages: dict[str, bytes], spine: list[str], **extra: bytes) -> bytes:
    out = io.BytesIO()
    items = "".join(
        f'<item id="i{n}" href="{name}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(pages)
    )
    refs = "".join(f'<itemref idref="i{list(pages).index(name)}"/>' for name in spine)
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/b.opf"/></rootfiles></container>',
        )
        archive.writestr(
            "OEBPS/b.opf",
            f'<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>The pump</dc:title></metadata><manifest>{items}</manifest><spine>{refs}</spine></package>',
        )
        for name, body in pages.items():
            archive.writestr(f"OEBPS/{name}", body)
        for name, body in extra.items():
            archive.writestr(name, body)
    return out.getvalue()


def epub() -> Iterator[Case]:
    head = (
        b'<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head>'
    )
    one = (
        head
        + b'<title/><link rel="x" href="y"/><script src="x.js"/></head><body><a id="a"/><h1>Chapter one</h1><p>First words.</p></body></html>'
    )
    two = (
        head
        + b"<title>Two</title></head><body><h1>Chapter two</h1><p>Second words.<br/>Line.</p></body></html>"
    )
    yield Case(
        "order.epub",
        book({"b.xhtml": two, "a.xhtml": one}, ["a.xhtml", "b.xhtml"]),
        ("Chapter one", "First words.", "Chapter two", "Second words."),
    )
    yield Case(
        "missing-chapter.epub",
        book({"b.xhtml": two}, ["b.xhtml"]).replace(b"nothing", b"nothing"),
        ("Second words.",),
    )
    yield Case(
        "declared.epub",
        book(
            {
                "a.xhtml": b'<?xml version="1.0" encoding="windows-1251"?><html><body><p>'
                + RUSSIAN.encode("cp1251")
                + b"</p></body></html>"
            },
            ["a.xhtml"],
        ),
        (RUSSIAN,),
    )
    yield Case(
        "locked.epub",
        book(
            {"a.xhtml": bytes(range(256)) * 20},
            ["a.xhtml"],
            **{"META-INF/encryption.xml": b"<encryption><EncryptedData/></encryption>"},
        ),
        states=("encrypted", "unsupported"),
    )
    yield Case(
        "odd-names.epub", book({"a%20b c.xhtml": two}, ["a%20b c.xhtml"]), states=("read", "empty")
    )


def cases() -> Iterator[Case]:
    yield from html()
    yield from markdown()
    yield from epub()
