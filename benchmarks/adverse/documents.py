"""Word documents with what Word can put in them."""

from __future__ import annotations

from collections.abc import Iterator

import docx
from docx.oxml import parse_xml

from benchmarks.adverse.case import Case
from benchmarks.adverse.office_making import W, saved, with_part


def word(*xml: str) -> docx.document.Document:
    document = docx.Document()
    for piece in xml:
        document.element.body.insert(len(document.element.body) - 1, parse_xml(piece))
    return document


def para(inner: str) -> str:
    return (
        f'<w:p {W} xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
        f'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" xmlns:v="urn:schemas-microsoft-com:vml">{inner}</w:p>'
    )


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def _footnotes() -> bytes:
    document = word(
        para(
            run("The fee is due in March")
            + '<w:r><w:footnoteReference w:id="2"/></w:r>'
            + run(" of each year.")
        ),
        para(run("Members over seventy pay half.") + '<w:r><w:endnoteReference w:id="2"/></w:r>'),
    )
    notes = f'<w:footnotes {W}><w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:separator/></w:r></w:p></w:footnote><w:footnote w:id="2"><w:p><w:r><w:footnoteRef/></w:r>{run(" Unless the board grants a delay.")}</w:p></w:footnote></w:footnotes>'
    ends = f'<w:endnotes {W}><w:endnote w:id="2"><w:p>{run("Decided on the assembly of 2014.")}</w:p></w:endnote></w:endnotes>'
    return with_part(
        with_part(saved(document), "footnotes", "footnotes", notes), "endnotes", "endnotes", ends
    )


def _comments() -> bytes:
    document = docx.Document()
    paragraph = document.add_paragraph("The rent rises by four percent a year.")
    document.add_comment(
        paragraph.runs, text="Ask the landlord about the cap.", author="Mira Santos", initials="MS"
    )
    return saved(document)


def _headers() -> bytes:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Policy PX-77, in force since May 2020"
    document.sections[0].footer.paragraphs[0].text = "Owner: department of transport"
    document.add_paragraph("Vehicles are returned with a full tank.")
    return saved(document)


def _nested() -> bytes:
    document = docx.Document()
    table = document.add_table(2, 2)
    for row, cells in zip(table.rows, (("Part", "Sizes"), ("Bolt", "")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    inner = table.cell(1, 1).add_table(2, 2)
    for row, cells in zip(inner.rows, (("M6", "10 mm"), ("M8", "13 mm")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    return saved(document)


def _textbox() -> bytes:
    box = "<w:txbxContent><w:p><w:r><w:t>Boxed: call 0700 in emergencies.</w:t></w:r></w:p></w:txbxContent>"
    return saved(
        word(
            para(
                run("Before the box.")
                + f'<w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp></w:drawing></mc:Choice><mc:Fallback><w:pict><v:shape><v:textbox>{box}</v:textbox></v:shape></w:pict></mc:Fallback></mc:AlternateContent></w:r>'
            ),
            para(run("After the box.")),
        )
    )


def cases() -> Iterator[Case]:
    yield Case(
        "tracked.docx",
        saved(
            word(
                para(
                    run("Guests leave by ")
                    + f'<w:del w:id="1" w:author="a">{"<w:r><w:delText>eleven</w:delText></w:r>"}</w:del><w:ins w:id="2" w:author="a">{run("noon")}</w:ins>'
                    + run(" on Sunday.")
                )
            )
        ),
        ("Guests leave by noon on Sunday.",),
        ("eleven",),
    )
    yield Case(
        "tracked-rows.docx",
        saved(
            word(
                f'<w:tbl {W}><w:tr><w:tc><w:p>{run("Kept")}</w:p></w:tc><w:tc><w:p>{run("one")}</w:p></w:tc></w:tr><w:tr><w:trPr><w:del w:id="3" w:author="a"/></w:trPr><w:tc><w:p><w:del w:id="4" w:author="a"><w:r><w:delText>Dropped</w:delText></w:r></w:del></w:p></w:tc></w:tr></w:tbl>',
                para(run("End.")),
            )
        ),
        ("Kept", "End."),
        ("Dropped",),
    )
    yield Case(
        "footnotes.docx",
        _footnotes(),
        ("The fee is due in March of each year.", "Unless the board grants a delay."),
    )
    yield Case(
        "endnotes.docx",
        _footnotes(),
        ("Members over seventy pay half.", "Decided on the assembly of 2014."),
    )
    yield Case(
        "comments.docx",
        _comments(),
        (
            "The rent rises by four percent a year.",
            "Mira Santos",
            "Ask the landlord about the cap.",
        ),
    )
    yield Case("headers.docx", _headers(), ("Vehicles are returned with a full tank.",))
    yield Case("headers-kept.docx", _headers(), ("Policy PX-77, in force since May 2020",))
    yield Case("footers-kept.docx", _headers(), ("Owner: department of transport",))
    yield Case("nested-table.docx", _nested(), ("Bolt", "M6", "10 mm", "M8", "13 mm"))
    yield Case(
        "text-box.docx",
        _textbox(),
        ("Before the box.", "Boxed: call 0700 in emergencies.", "After the box."),
    )
    yield Case(
        "formula.docx",
        saved(
            word(
                para(
                    run("The force is ")
                    + "<m:oMath><m:r><m:t>F=ma</m:t></m:r></m:oMath>"
                    + run(" in newtons.")
                )
            )
        ),
        ("The force is F=ma in newtons.",),
    )
    yield Case(
        "hyperlink.docx",
        saved(
            word(
                para(
                    run("See ")
                    + f'<w:hyperlink w:anchor="x">{run("the annex")}</w:hyperlink>'
                    + run(" for more.")
                )
            )
        ),
        ("See the annex for more.",),
    )
    yield Case(
        "fields.docx",
        saved(
            word(
                para(
                    run("Page ")
                    + '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>REF secret</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r>'
                    + run("seven")
                    + '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
                ),
                para(f'<w:fldSimple w:instr="DATE">{run("4 May 2021")}</w:fldSimple>'),
            )
        ),
        ("Page seven", "4 May 2021"),
        ("secret",),
    )
    yield Case(
        "symbols.docx",
        saved(
            word(
                para(
                    run("Ten")
                    + "<w:r><w:noBreakHyphen/></w:r>"
                    + run("pin soft")
                    + "<w:r><w:softHyphen/></w:r>"
                    + run("ware")
                    + "<w:r><w:tab/></w:r>"
                    + run("end")
                )
            )
        ),
        ("Ten-pin software end",),
    )
    yield Case(
        "hidden.docx",
        saved(word(para(run("Shown.") + run("Not shown.", "<w:vanish/>")))),
        ("Shown.",),
        ("Not shown.",),
    )
    yield Case(
        "controls.docx",
        saved(
            word(
                f"<w:sdt {W}><w:sdtContent><w:p>{run('In a control.')}</w:p><w:tbl><w:tr><w:sdt><w:sdtContent><w:tc><w:p>{run('cell in a control')}</w:p></w:tc></w:sdtContent></w:sdt></w:tr></w:tbl></w:sdtContent></w:sdt>"
            )
        ),
        ("In a control.", "cell in a control"),
    )
    yield Case(
        "alternate-block.docx",
        saved(
            word(
                f'<mc:AlternateContent {W} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><mc:Choice Requires="w14"><w:p>{run("In the choice.")}</w:p></mc:Choice><mc:Fallback><w:p>{run("In the fallback.")}</w:p></mc:Fallback></mc:AlternateContent>'
            )
        ),
        ("In the choice.",),
        ("In the fallback.",),
    )
