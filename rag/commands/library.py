"""`attest collections`, `attest documents list`, `attest jobs list`, `attest text`,
`attest delete`."""

from __future__ import annotations

import argparse
from typing import Any

from rag import changes
from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal
from rag.domain import Document, Findings, PersonalPolicy, Principal, Right
from rag.errors import BadInput, NotFound, UnknownDocument
from rag.ports import UnitOfWork, readable
from rag.reach import collection_for, copies_for, document_for, documents_for, jobs_for
from rag.wire import Json, to_json


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    families = {
        "collections": "list and make collections",
        "documents": "list documents",
        "jobs": "list and cancel jobs",
    }
    verbs = {
        name: commands.add_parser(name, parents=[common], help=said).add_subparsers(
            dest="verb", required=True, metavar="VERB"
        )
        for name, said in families.items()
    }
    listing = verbs["collections"].add_parser("list", parents=[common])
    listing.set_defaults(run=list_collections)
    making = verbs["collections"].add_parser("create", parents=[common])
    making.add_argument("name", metavar="NAME")
    making.add_argument(
        "--grant", action="append", type=grant, default=[], metavar="GROUP=read|write|manage"
    )
    making.set_defaults(run=create_collection)
    policy = verbs["collections"].add_parser(
        "personal-data", parents=[common], help="what is done with personal data from now on"
    )
    policy.add_argument("name", metavar="NAME")
    policy.add_argument("policy", choices=[each.value for each in PersonalPolicy])
    policy.set_defaults(run=set_personal_policy)
    one = verbs["documents"].add_parser("show", parents=[common], help="what was found in it")
    one.add_argument("document", metavar="DOCUMENT", help="its name or id")
    one.add_argument("--collection", metavar="NAME", help="where to look for a name")
    one.set_defaults(run=show_document)
    for name, run in (("documents", list_documents), ("jobs", list_jobs)):
        shown = verbs[name].add_parser("list", parents=[common])
        shown.add_argument("--collection", required=True, metavar="NAME")
        shown.set_defaults(run=run)

    cancelling = verbs["jobs"].add_parser("cancel", parents=[common])
    cancelling.add_argument("job", metavar="JOB_ID")
    cancelling.set_defaults(run=cancel)

    reading = commands.add_parser("text", parents=[common], help="a document's stored text")
    reading.add_argument("document", metavar="DOCUMENT_ID")
    reading.add_argument("--version", help="an older version's id")
    reading.add_argument("--collection", metavar="NAME", help="where to look for a name")
    reading.set_defaults(run=text)

    deleting = commands.add_parser("delete", parents=[common], help="delete a document")
    deleting.add_argument("document", metavar="DOCUMENT", help="its name or id")
    deleting.add_argument("--collection", metavar="NAME", help="where to look for a name")
    deleting.set_defaults(run=delete)


def grant(text: str) -> tuple[str, Right]:
    group, _, right = text.partition("=")
    try:
        return group, Right(right)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not GROUP=read|write|manage") from exc


def list_collections(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        who = acting(asked, attest)
        with attest.store() as work:
            held = [each for each in work.collections.all() if readable(each, who) is not None]
    lines = [f"{each.name}  (generation {each.generation})" for each in held]
    terminal.result({"collections": to_json(held)}, "\n".join(lines) or "no collections")
    return 0


def create_collection(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked, create=True) as attest:
        who = acting(asked, attest)
        rights = dict(asked.grant) or None
        collection = changes.create_collection(attest.store, who, asked.name, rights)
    terminal.result({"collection": to_json(collection)}, f"created {collection.name}")
    return 0


def set_personal_policy(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        policy = PersonalPolicy(asked.policy)
        kept = changes.set_personal_policy(attest.store, acting(asked, attest), asked.name, policy)
    terminal.result(
        {"collection": to_json(kept)},
        f"{kept.name}: personal data in what is handed in from now on: {policy.value}",
    )
    return 0


def show_document(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        who = acting(asked, attest)
        with attest.store() as work:
            document = _find(work, who, asked, Right.READ)
            row = _row(work, document)
            version = work.documents.version(document.version) if document.version else None
            collection = work.collections.get(document.collection)
            copies = copies_for(work, collection, who, document.id).get(document.id, ())
    findings = version.findings if version else None
    said = row | {"findings": to_json(findings), "copies": to_json(copies)}
    lines = [f"{document.name}  ({row['chunks'] or 'no'} chunks)", *told(findings)]
    lines += [f"{copy.sameness.value} ({copy.share:.0%}): {copy.name}" for copy in copies]
    terminal.result({"document": said}, "\n".join(lines))
    return 0


def told(findings: Findings | None) -> list[str]:
    if findings is None:
        return ["not examined: it was taken in before texts were"]
    places = [
        f"  {one.kind.value}: {one.detail}, characters {one.start} to {one.end}"
        + (f", page {one.page}" if one.page is not None else "")
        for one in findings.places
    ]
    surprise = "" if findings.surprise is None else f", {findings.surprise} bits a letter"
    counts = ", ".join(f"{n} {kind}" for kind, n in findings.personal.items()) or "none"
    return [
        f"language: {findings.language or 'not told'}{surprise}",
        f"personal data: {counts} (policy: {findings.policy.value})",
        f"like instructions to the model: {findings.instructions}; noise: {findings.noise}",
        *places,
    ]


def list_documents(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        who = acting(asked, attest)
        with attest.store() as work:
            collection = collection_for(work, asked.collection, who, Right.READ)
            rows = [_row(work, document) for document in documents_for(work, collection, who)]
    lines = [f"{row['document_id']}  {row['chunks'] or '-':>6}  {row['document']}" for row in rows]
    terminal.result({"documents": to_json(rows)}, "\n".join(lines) or "no documents")
    return 0


def _row(work: UnitOfWork, document: Document) -> dict[str, Json]:
    version = work.documents.version(document.version) if document.version else None
    return {
        "document": document.name,
        "document_id": document.id,
        "version": document.version,
        "chunks": version.chunks if version else None,
        "media_type": version.media_type if version else None,
        "pages": version.pages if version else None,
        "readers": to_json(document.readers),
        "metadata": to_json(document.metadata),
    }


def list_jobs(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        who = acting(asked, attest)
        with attest.store() as work:
            collection = collection_for(work, asked.collection, who, Right.READ)
            jobs = jobs_for(work, collection, who, work.jobs.all(collection.id))
    lines = [f"{job.id}  {job.state.value:<9} {job.progress:4.0%}  {job.name}" for job in jobs]
    terminal.result({"jobs": to_json(jobs)}, "\n".join(lines) or "no jobs")
    return 0


def cancel(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Of a waiting or running job; an older version of the document stays."""
    with opened(asked) as attest:
        who = acting(asked, attest)
        job = changes.cancel_job(attest.store, who, asked.job)
    terminal.result({"job": to_json(job)}, f"cancelled {job.name}")
    return 0


def text(asked: argparse.Namespace, terminal: Terminal) -> int:
    from rag.reach import version_for

    with opened(asked) as attest:
        who = acting(asked, attest)
        with attest.store() as work:
            document = _find(work, who, asked, Right.READ)
            if document.version is None:
                raise UnknownDocument(f"{document.name} has no text yet, or was deleted")
            _, version = version_for(work, asked.version or document.version, who)
            if version.document != document.id:
                raise UnknownDocument(f"{document.name} has no version {version.id!r}")
        stored = attest.blobs.get(version.text_blob).decode("utf-8")
    found: Json = {
        "document": document.name,
        "document_id": document.id,
        "version": version.id,
        "text": stored,
    }
    terminal.result(found, stored)
    return 0


def delete(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        who = acting(asked, attest)
        with attest.store() as work:
            found = _find(work, who, asked, Right.WRITE)
        document, generation = changes.delete_document(attest.store, who, found.id)
    said: Json = {
        "document": document.name,
        "document_id": document.id,
        "generation": generation,
    }
    terminal.result(said, f"deleted {document.name}: gone from generation {generation} on")
    return 0


def _find(work: UnitOfWork, who: Principal, asked: argparse.Namespace, right: Right) -> Document:
    """By id, else by name. Raises UnknownDocument; BadInput for a name in several collections."""
    try:
        return document_for(work, asked.document, who, right)[1]
    except NotFound:
        pass
    if asked.collection is not None:
        where = [collection_for(work, asked.collection, who, right)]
    else:
        where = [each for each in work.collections.all() if readable(each, who) is not None]
    named = [
        document
        for collection in where
        for document in documents_for(work, collection, who)
        if document.name == asked.document
    ]
    if len(named) > 1:
        raise BadInput(f"{len(named)} collections hold {asked.document!r}; add --collection NAME")
    if not named:
        raise UnknownDocument(f"there is no document with the id or name {asked.document!r}")
    return document_for(work, named[0].id, who, right)[1]
