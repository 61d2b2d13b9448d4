"""Word documents whose file is not as usual: other kinds, parts missing, references to nothing."""

from __future__ import annotations

from collections.abc import Iterator

import docx

from benchmarks.adverse.case import Case
from benchmarks.adverse.documents import para, run, word
from benchmarks.adverse.office_making import STRICT, W, changed, saved


def _deep_table(depth: int) -> bytes:
    inner = "<w:p><w:r><w:t>At the bottom.</w:t></w:r></w:p>"
    for _ in range(depth):
        inner = f"<w:tbl><w:tr><w:tc>{inner}</w:tc></w:tr></w:tbl>"
    data = saved(docx.Document())
    body = f"<w:document {W}><w:body>{inner}</w:body></w:document>"
    return changed(data, {"word/document.xml": body.encode()})


def cases() -> Iterator[Case]:
    plain = word(para(run("The pump is checked in May.")))
    yield Case(
        "macro.docm",
        changed(
            saved(plain),
            replace={
                "wordprocessingml.document.main+xml": "XX",
                "application/vnd.openxmlformats-officedocument.XX": "application/vnd.ms-word.document.macroEnabled.main+xml",
            },
        ),
        ("The pump is checked in May.",),
    )
    yield Case(
        "template.dotx",
        changed(
            saved(plain),
            replace={"wordprocessingml.document.main+xml": "wordprocessingml.template.main+xml"},
        ),
        ("The pump is checked in May.",),
    )
    yield Case(
        "strict.docx", changed(saved(plain), replace=STRICT), ("The pump is checked in May.",)
    )
    yield Case("wrong-name.pdf", saved(plain), ("The pump is checked in May.",))
    yield Case(
        "no-styles.docx",
        changed(saved(plain), {"word/styles.xml": None}),
        ("The pump is checked in May.",),
    )
    yield Case(
        "no-document.docx",
        changed(saved(plain), {"word/document.xml": None}),
        states=("unreadable",),
    )
    yield Case(
        "no-types.docx",
        changed(saved(plain), {"[Content_Types].xml": None}),
        states=("read", "unreadable"),
    )
    yield Case(
        "external.docx",
        changed(
            saved(plain),
            replace={
                "</Relationships>": '<Relationship Id="rId99" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate" Target="http://127.0.0.1:9/t.dotm" TargetMode="External"/></Relationships>'
            },
        ),
        ("The pump is checked in May.",),
    )
    yield Case(
        "missing-target.docx",
        changed(
            saved(plain),
            replace={
                "</Relationships>": '<Relationship Id="rId98" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image" Target="media/gone.png"/></Relationships>'
            },
        ),
        ("The pump is checked in May.",),
    )
    yield Case(
        "null-target.docx",
        changed(
            saved(plain),
            replace={
                "</Relationships>": '<Relationship Id="rId97" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image" Target="NULL"/></Relationships>'
            },
        ),
        ("The pump is checked in May.",),
    )
    yield Case(
        "entities.docx",
        changed(
            saved(plain),
            {
                "word/document.xml": f'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]><w:document {W}><w:body><w:p><w:r><w:t>Start &c; end</w:t></w:r></w:p></w:body></w:document>'.encode()
            },
        ),
        states=("read", "unreadable"),
        absent=("root:",),
    )
    yield Case("deep-tables.docx", _deep_table(3_000), states=("read", "limit", "unreadable"))
