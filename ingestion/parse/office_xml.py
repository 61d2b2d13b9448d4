"""Office files (OOXML) made alike before their libraries open them: templates, files with macros
and the strict dialect of ISO/IEC 29500 read like the ordinary kind, and references to parts that
are not there are dropped, as Office does."""

from __future__ import annotations

import io
import posixpath
import re
import zipfile

from ingestion.parse.container import member

_STRICT = b"http://purl.oclc.org/ooxml/"
_SCHEMAS = (  # of the strict dialect, and what the ordinary one calls them
    (b"http://purl.oclc.org/ooxml/officeDocument/relationships",
     b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"),
    (b"http://purl.oclc.org/ooxml/officeDocument/",
     b"http://schemas.openxmlformats.org/officeDocument/2006/"),
    (b"http://purl.oclc.org/ooxml/wordprocessingml/main",
     b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"),
    (b"http://purl.oclc.org/ooxml/presentationml/main",
     b"http://schemas.openxmlformats.org/presentationml/2006/main"),
    (b"http://purl.oclc.org/ooxml/spreadsheetml/main",
     b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"),
    (b"http://purl.oclc.org/ooxml/drawingml/", b"http://schemas.openxmlformats.org/drawingml/2006/"),
)  # fmt: skip
_ORDINARY = b"application/vnd.openxmlformats-officedocument."
_KINDS = (  # content types of a main part that are read like the ordinary one
    (rb"application/vnd\.ms-word\.(?:document|template)\.macroEnabled(?:Template)?\.main\+xml",
     _ORDINARY + b"wordprocessingml.document.main+xml"),
    (rb"application/vnd\.openxmlformats-officedocument\.wordprocessingml\.template\.main\+xml",
     _ORDINARY + b"wordprocessingml.document.main+xml"),
    (rb"application/vnd\.ms-powerpoint\.(?:slideshow|template|presentation)\.macroEnabled\.main\+xml",
     _ORDINARY + b"presentationml.presentation.main+xml"),
    (rb"application/vnd\.openxmlformats-officedocument\.presentationml\.(?:slideshow|template)"
     rb"\.main\+xml", _ORDINARY + b"presentationml.presentation.main+xml"),
)  # fmt: skip
_TYPES = "[Content_Types].xml"
_RELATIONSHIP = re.compile(rb"<Relationship\b[^>]*?/>|<Relationship\b[^>]*?>\s*</Relationship>")
_TARGET = re.compile(rb'\bTarget\s*=\s*"([^"]*)"')
_EXTERNAL = re.compile(rb'\bTargetMode\s*=\s*"External"')


def ordinary(data: bytes) -> bytes:
    """The file as its libraries know it; `data` itself where it is so already. Call
    `check_container` first."""
    types = member(data, _TYPES, missing=b"")
    known = types
    for pattern, kind in _KINDS:
        known = re.sub(pattern, kind, known)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = frozenset(archive.namelist())
        relations = {name: archive.read(name) for name in names if name.endswith(".rels")}
        strict = any(_STRICT in body for body in relations.values())
        kept = {name: _present(name, body, names) for name, body in relations.items()}
        if not strict and known == types and kept == relations:
            return data
        changed = {_TYPES: known, **kept}
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as new:
            for name in archive.namelist():
                body = changed.get(name)
                if body is None:
                    body = archive.read(name)
                if strict and name.endswith((".xml", ".rels")):
                    for schema, usual in _SCHEMAS:
                        body = body.replace(schema, usual)
                new.writestr(name, body)
    return out.getvalue()


def _present(name: str, relations: bytes, names: frozenset[str]) -> bytes:
    """The relationships without those to parts of the file that it does not have."""
    folder = posixpath.dirname(posixpath.dirname(name))

    def kept(found: re.Match[bytes]) -> bytes:
        target = _TARGET.search(found[0])
        if target is None or _EXTERNAL.search(found[0]):
            return found[0]
        path = target[1].decode("utf-8", "replace").partition("#")[0]
        whole = posixpath.normpath(posixpath.join("/" + folder, path)).lstrip("/")
        return found[0] if whole in names else b""

    return _RELATIONSHIP.sub(kept, relations)
