"""Presentations with what PowerPoint can put in them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Cm

from benchmarks.adverse.case import Case
from benchmarks.adverse.office_making import STRICT, changed, saved


def _slides() -> pptx.presentation.Presentation:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Maintenance plan"
    slide.placeholders[1].text = "Check the seals\nChange the oil"
    slide.notes_slide.notes_text_frame.text = "Mention the budget."
    return deck


def cases() -> Iterator[Case]:
    shown = ("Maintenance plan", "Check the seals", "Change the oil", "Mention the budget.")
    yield Case("plain.pptx", saved(_slides()), shown)
    main = "presentationml.presentation.main+xml"
    yield Case(
        "show.ppsx",
        changed(saved(_slides()), replace={main: "presentationml.slideshow.main+xml"}),
        shown,
    )
    yield Case(
        "template.potx",
        changed(saved(_slides()), replace={main: "presentationml.template.main+xml"}),
        shown,
    )
    yield Case(
        "macro.pptm",
        changed(
            saved(_slides()),
            replace={
                f"application/vnd.openxmlformats-officedocument.{main}": "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml"
            },
        ),
        shown,
    )
    yield Case("strict.pptx", changed(saved(_slides()), replace=STRICT), shown)
    deck = _slides()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Numbers"
    table = slide.shapes.add_table(2, 2, Cm(1), Cm(4), Cm(10), Cm(3)).table
    for (row, column), text in {
        (0, 0): "Plant",
        (0, 1): "Output",
        (1, 0): "North",
        (1, 1): "1,200 t",
    }.items():
        table.cell(row, column).text = text
    data = CategoryChartData()
    data.categories = ["2019", "2020"]
    data.add_series("Sales", (12.5, 13))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Cm(1), Cm(8), Cm(10), Cm(6), data)
    group = slide.shapes.add_group_shape()
    box = group.shapes.add_textbox(Cm(1), Cm(15), Cm(5), Cm(2))
    box.text_frame.text = "In a group"
    yield Case(
        "table-chart-group.pptx",
        saved(deck),
        ("Numbers", "Plant: North; Output: 1,200 t", "2019", "12.5", "In a group"),
    )
    deck = _slides()
    shape = deck.slides[0].shapes.add_textbox(Cm(1), Cm(15), Cm(5), Cm(2))
    shape.text_frame.text = "In the choice"
    xml = saved(deck)
    with zipfile.ZipFile(io.BytesIO(xml)) as archive:
        slide_xml = archive.read("ppt/slides/slide1.xml").decode()
    at = slide_xml.rindex("<p:sp>")
    end = slide_xml.index("</p:sp>", at) + len("</p:sp>")
    wrapped = f'<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><mc:Choice Requires="a14">{slide_xml[at:end]}</mc:Choice><mc:Fallback>{slide_xml[at:end].replace("In the choice", "In the fallback")}</mc:Fallback></mc:AlternateContent>'
    yield Case(
        "alternate.pptx",
        changed(
            xml, {"ppt/slides/slide1.xml": (slide_xml[:at] + wrapped + slide_xml[end:]).encode()}
        ),
        ("Maintenance plan", "In the choice"),
        ("In the fallback",),
    )
    smart = '<p:graphicFrame xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><p:nvGraphicFramePr><p:cNvPr id="9" name="D"/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr><p:xfrm><a:off x="0" y="0"/><a:ext cx="9" cy="9"/></p:xfrm><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/diagram"><dgm:relIds xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" r:dm="rId77" r:lo="rId77" r:qs="rId77" r:cs="rId77"/></a:graphicData></a:graphic></p:graphicFrame></p:spTree>'
    base = saved(_slides())
    with zipfile.ZipFile(io.BytesIO(base)) as archive:
        one, rels, types = (
            archive.read(n).decode()
            for n in (
                "ppt/slides/slide1.xml",
                "ppt/slides/_rels/slide1.xml.rels",
                "[Content_Types].xml",
            )
        )
    points = "".join(
        f'<dgm:pt modelId="{n}"><dgm:t><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t></dgm:pt>'
        for n, text in enumerate(("Drain the tank", "Clean the filter"))
    )
    diagram = f'<dgm:dataModel xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><dgm:ptLst>{points}</dgm:ptLst></dgm:dataModel>'
    yield Case(
        "smart-art.pptx",
        changed(
            base,
            {
                "ppt/slides/slide1.xml": one.replace("</p:spTree>", smart).encode(),
                "ppt/slides/_rels/slide1.xml.rels": rels.replace(
                    "</Relationships>",
                    '<Relationship Id="rId77" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/diagramData" Target="../diagrams/data1.xml"/></Relationships>',
                ).encode(),
                "[Content_Types].xml": types.replace(
                    "</Types>",
                    '<Override PartName="/ppt/diagrams/data1.xml" ContentType="application/vnd.openxmlformats-officedocument.drawingml.diagramData+xml"/></Types>',
                ).encode(),
                "ppt/diagrams/data1.xml": diagram.encode(),
            },
        ),
        ("Maintenance plan", "Drain the tank", "Clean the filter"),
    )
    yield Case(
        "missing-slide.pptx",
        changed(saved(_slides()), {"ppt/slides/slide1.xml": None}),
        states=("unreadable", "empty"),
    )
    yield Case("empty.pptx", saved(pptx.Presentation()), states=("empty",))
