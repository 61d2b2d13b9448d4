"""OpenDocument files: texts, slides, sheets."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

from benchmarks.adverse.case import Case

ODF = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:presentation="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"'
)


def odf(kind: str, body: str) -> bytes:
    out = io.BytesIO()
    inner = {"text": "text", "spreadsheet": "spreadsheet", "presentation": "presentation"}[kind]
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr(
            "content.xml",
            f'<office:document-content {ODF} office:version="1.2"><office:body><office:{inner}>{body}</office:{inner}></office:body></office:document-content>',
        )
        archive.writestr(
            "META-INF/manifest.xml",
            f'<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.{kind}"/></manifest:manifest>',
        )
    return out.getvalue()


def cases() -> Iterator[Case]:
    yield Case(
        "footnote.odt",
        odf(
            "text",
            "<text:p>The fee is due in March<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>Unless the board delays it.</text:p></text:note-body></text:note> of each year.</text:p>",
        ),
        ("The fee is due in March of each year.", "Unless the board delays it."),
    )
    yield Case(
        "comment.odt",
        odf(
            "text",
            "<text:p>The rent rises.<office:annotation><dc:creator>Mira</dc:creator><text:p>Ask about the cap.</text:p></office:annotation></text:p>",
        ),
        ("The rent rises.", "Ask about the cap."),
    )
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    inner = f"<table:table><table:table-row>{cell.format('inner left')}{cell.format('inner right')}</table:table-row></table:table>"
    yield Case(
        "nested-table.odt",
        odf(
            "text",
            f"<table:table><table:table-row>{cell.format('outer left')}<table:table-cell>{inner}</table:table-cell></table:table-row></table:table>",
        ),
        ("outer left", "inner left", "inner right"),
    )
    yield Case(
        "nested-box.odt",
        odf(
            "text",
            "<text:p>Around.<draw:frame><draw:text-box><text:p>In the box.<draw:frame><draw:text-box><text:p>In the inner box.</text:p></draw:text-box></draw:frame></text:p></draw:text-box></draw:frame></text:p>",
        ),
        ("Around.", "In the box.", "In the inner box."),
    )
    yield Case(
        "cell-box.odt",
        odf(
            "text",
            f"<table:table><table:table-row>{cell.format('left<draw:frame><draw:text-box><text:p>boxed in a cell</text:p></draw:text-box></draw:frame>')}{cell.format('right')}</table:table-row></table:table>",
        ),
        ("left", "boxed in a cell", "right"),
    )
    yield Case(
        "tracked.odt",
        odf(
            "text",
            "<text:tracked-changes><text:changed-region><text:deletion><text:p>Gone words.</text:p></text:deletion></text:changed-region></text:tracked-changes><text:p>Kept words.</text:p>",
        ),
        ("Kept words.",),
        ("Gone words.",),
    )
    yield Case(
        "list.odt",
        odf(
            "text",
            "<text:list><text:list-header><text:p>Steps</text:p></text:list-header><text:list-item><text:p>First step<text:line-break/>goes on</text:p><text:list><text:list-item><text:p>Inner step</text:p></text:list-item></text:list></text:list-item><text:list-item><text:h>A heading item</text:h></text:list-item></text:list>",
        ),
        ("Steps", "First step goes on", "Inner step", "A heading item"),
    )
    yield Case(
        "slides.odp",
        odf(
            "presentation",
            f'<draw:page draw:name="1"><draw:frame presentation:class="title"><draw:text-box><text:p>The plan</text:p></draw:text-box></draw:frame><draw:custom-shape><text:p>In a shape</text:p></draw:custom-shape><draw:g><draw:frame><draw:text-box><text:list><text:list-item><text:p>In a group</text:p></text:list-item></text:list></draw:text-box></draw:frame></draw:g><draw:frame>{inner}</draw:frame><presentation:notes><draw:frame><draw:text-box><text:p>Say hello.</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>',
        ),
        ("The plan", "In a shape", "In a group", "inner left", "Say hello."),
    )
    number = '<table:table-cell office:value-type="{}" office:{}="{}"><text:p>{}</text:p></table:table-cell>'
    yield Case(
        "values.ods",
        odf(
            "spreadsheet",
            f'<table:table table:name="Prices"><table:table-row>{cell.format("Item").replace("<table:table-cell", f"<table:table-cell office:value-type={chr(34)}string{chr(34)}")}{cell.format("Since").replace("<table:table-cell", f"<table:table-cell office:value-type={chr(34)}string{chr(34)}")}</table:table-row><table:table-row>{cell.format("Seal").replace("<table:table-cell", f"<table:table-cell office:value-type={chr(34)}string{chr(34)}")}{number.format("date", "date-value", "2021-03-04", "4 March 2021")}</table:table-row></table:table>',
        ),
        ("Item: Seal; Since: 2021-03-04",),
    )
    yield Case(
        "repeated.odt",
        odf(
            "text",
            '<table:table><table:table-row><table:table-cell table:number-columns-repeated="3"><text:p>same</text:p></table:table-cell></table:table-row></table:table><text:p>x<text:s text:c="99999999"/>y</text:p>',
        ),
        ("x",),
    )
    flat = f'<?xml version="1.0"?><office:document {ODF} office:mimetype="application/vnd.oasis.opendocument.text"><office:body><office:text><text:h text:outline-level="1">Flat heading</text:h><text:p>Flat <text:span>words</text:span> here.</text:p></office:text></office:body></office:document>'
    yield Case("flat.fodt", flat.encode(), ("Flat heading", "Flat words here."))
