"""The families of formats that are told apart by content, each read by one parser."""

from __future__ import annotations

from enum import StrEnum


class Family(StrEnum):
    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    DELIMITED = "delimited"
    JSON = "json"
    XML = "xml"
    RTF = "rtf"
    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    SPREADSHEET = "spreadsheet"
    ODT = "odt"
    EPUB = "epub"
    DOC = "doc"
    PPT = "ppt"
    EML = "eml"
    MSG = "msg"
    MAILBOX = "mailbox"
    TNEF = "tnef"
    IMAGE = "image"
    ARCHIVE = "archive"


READABLE = (
    "Attest reads PDF, Word, PowerPoint, Excel, OpenDocument, RTF, EPUB, HTML, Markdown, text, "
    "CSV, JSON, XML, mail (EML, MSG), pictures of text (PNG, JPEG, TIFF) and archives of these "
    "(zip, tar)"
)
