"""Workbooks with what Excel can put in them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import xlsxwriter

from benchmarks.adverse.case import Case
from benchmarks.adverse.office_making import STRICT, book, changed


def _values(workbook: xlsxwriter.Workbook) -> None:
    sheet = workbook.add_worksheet("Prices")
    date = workbook.add_format({"num_format": "yyyy-mm-dd"})
    percent = workbook.add_format({"num_format": "0%"})
    euro = workbook.add_format({"num_format": '#,##0.00 "EUR"'})
    sheet.write_row(0, 0, ["Item", "Since", "Discount", "Price", "Total"])
    sheet.write(1, 0, "Seal")
    sheet.write_datetime(1, 1, datetime.datetime(2021, 3, 4), date)
    sheet.write_number(1, 2, 0.15, percent)
    sheet.write_number(1, 3, 1234.5, euro)
    sheet.write_formula(1, 4, "=D2*2", euro, 2469)
    sheet.merge_range(3, 0, 3, 4, "Prices hold until June")
    hidden = workbook.add_worksheet("Costs")
    hidden.write_row(0, 0, ["Part", "Cost"])
    hidden.write_row(1, 0, ["Ring", 7])
    hidden.hide()


def _no_cache() -> bytes:
    def fill(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("Sheet1")
        sheet.write_row(0, 0, ["Item", "Pieces", "Price", "Sum"])
        sheet.write_row(1, 0, ["Seal", 3, 4])
        sheet.write_formula(1, 3, "=B2*C2")

    return changed(book(fill), replace={"<f>B2*C2</f><v>0</v>": "<f>B2*C2</f>"})


def cases() -> Iterator[Case]:
    yield Case(
        "values.xlsx",
        book(_values),
        (
            "Item: Seal; Since: 2021-03-04;",
            "Total: 2469",
            "Prices hold until June",
            "Costs",
            "Part: Ring; Cost: 7",
        ),
    )
    yield Case("percent.xlsx", book(_values), ("Discount: 15%",))
    yield Case(
        "macro.xlsm",
        changed(
            book(_values),
            replace={
                "spreadsheetml.sheet.main+xml": "ZZ",
                "application/vnd.openxmlformats-officedocument.ZZ": "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
            },
        ),
        ("Item: Seal",),
    )
    yield Case(
        "strict.xlsx", changed(book(_values), replace=STRICT), ("Item: Seal", "Part: Ring; Cost: 7")
    )
    yield Case(
        "no-cached-values.xlsx", _no_cache(), ("Item: Seal; Pieces: 3; Price: 4; Sum: =B2*C2",)
    )

    def comment(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("Sheet1")
        sheet.write_row(0, 0, ["Item", "Price"])
        sheet.write_row(1, 0, ["Valve", 12])
        sheet.write_comment("B2", "Price without tax", {"author": "Jo"})

    yield Case("comment.xlsx", book(comment), ("Item: Valve; Price: 12", "Price without tax"))

    def text_box(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("Plan")
        sheet.write(0, 0, "Cells hold words")
        sheet.insert_textbox(3, 3, "The box says no smoking")

    yield Case("text-box.xlsx", book(text_box), ("Cells hold words", "The box says no smoking"))

    def errors(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("E")
        sheet.write_row(0, 0, ["Name", "Ratio", "Flag", "Time"])
        sheet.write(1, 0, "alpha")
        sheet.write_formula(1, 1, "=1/0", None, "#DIV/0!")
        sheet.write_boolean(1, 2, True)
        sheet.write_datetime(
            1,
            3,
            datetime.timedelta(hours=30, minutes=15),
            workbook.add_format({"num_format": "[h]:mm"}),
        )

    yield Case(
        "errors.xlsx", book(errors), ("Name: alpha; Ratio: #DIV/0!; Flag: yes; Time: 30:15",)
    )
    yield Case("cut.xlsx", book(_values)[:-300], states=("unreadable",))
    yield Case(
        "no-sheet.xlsx",
        changed(book(_values), {"xl/worksheets/sheet2.xml": None}),
        ("Item: Seal",),
        states=("read", "unreadable"),
    )
    yield Case(
        "rich.xlsx",
        book(
            lambda wb: wb.add_worksheet("R").write_rich_string(
                "A1", "Use ", wb.add_format({"bold": True}), "clean", " water only"
            )
        ),
        ("Use clean water only",),
    )
    yield Case(
        "chart-sheet.xlsx",
        book(
            lambda wb: (
                wb.add_worksheet("D").write_column("A1", [1, 2, "three"]),
                wb.add_chartsheet("C"),
            )
        ),
        ("three",),
    )

    def years(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("Y")
        sheet.write_row(0, 0, ["Region", 2019, 2020])
        sheet.write_row(1, 0, ["North", 5, 6])

    yield Case("years.xlsx", book(years), ("Region", "2019", "2020", "North", "5"))
