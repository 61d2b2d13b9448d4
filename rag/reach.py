"""What someone can reach within one unit of work: look up and check in one go, so that no way in
can do the first without the second. What may not be seen is said in the words of what is not there.
"""

from __future__ import annotations

from rag.domain import Answer, Collection, Copy, Document, Job, Principal, Right, Version
from rag.errors import NotFound, UnknownAnswer, UnknownCollection, UnknownDocument
from rag.permit import may_list, may_read, require, require_document, unknown
from rag.ports import UnitOfWork, readable


def collection_for(work: UnitOfWork, name: str, who: Principal, right: Right) -> Collection:
    """The collection called `name`. Raises UnknownCollection, NotPermitted."""
    try:
        collection = work.collections.named(name)
    except UnknownCollection as exc:
        raise UnknownCollection(unknown(name)) from exc
    require(collection, who, right)
    return collection


def document_for(
    work: UnitOfWork, id: str, who: Principal, right: Right
) -> tuple[Collection, Document]:
    """The document of that id and its collection. Raises UnknownDocument, NotPermitted."""
    try:
        document = work.documents.get(id)
        collection = work.collections.get(document.collection)
    except NotFound as exc:
        raise UnknownDocument(f"there is no document {id!r}") from exc
    require_document(collection, document, who, right)
    return collection, document


def listed_for(work: UnitOfWork, id: str, who: Principal) -> Document:
    """The document as it is listed, without its words. Raises UnknownDocument."""
    try:
        document = work.documents.get(id)
        collection = work.collections.get(document.collection)
    except NotFound as exc:
        raise UnknownDocument(f"there is no document {id!r}") from exc
    if not may_list(collection, document, who):
        raise UnknownDocument(f"there is no document {id!r}")
    return document


def documents_for(work: UnitOfWork, collection: Collection, who: Principal) -> list[Document]:
    """The documents to list for `who`."""
    held = work.documents.all(collection.id)
    return [document for document in held if may_list(collection, document, who)]


def copies_for(
    work: UnitOfWork, collection: Collection, who: Principal, document: str | None = None
) -> dict[str, tuple[Copy, ...]]:
    """For each document (or the one), those to list for `who` that say the same."""
    found = work.documents.copies(collection.id, document)
    if not found:
        return {}
    seen = {document.id for document in documents_for(work, collection, who)}
    return {
        id: tuple(copy for copy in copies if copy.document in seen) for id, copies in found.items()
    }


def version_for(work: UnitOfWork, id: str, who: Principal) -> tuple[Document, Version]:
    """The version and its document, to be read. Old versions stay readable for the answers that
    cite them; those of a deleted document do not. Raises UnknownDocument."""
    try:
        version = work.documents.version(id)
        _, document = document_for(work, version.document, who, Right.READ)
    except NotFound as exc:
        raise UnknownDocument(f"there is no version {id!r}") from exc
    if document.version is None:
        raise UnknownDocument(f"there is no version {id!r}")
    return document, version


def job_for(work: UnitOfWork, id: str, who: Principal, right: Right) -> Job:
    """Raises NotFound, NotPermitted."""
    try:
        job = work.jobs.get(id)
        if right is Right.READ:
            listed_for(work, job.document, who)
        else:
            document_for(work, job.document, who, right)
    except NotFound as exc:
        raise NotFound(f"there is no job {id!r}") from exc
    return job


def jobs_for(
    work: UnitOfWork, collection: Collection, who: Principal, jobs: list[Job]
) -> list[Job]:
    """Those of `jobs` whose document `who` may see listed."""
    if readable(collection, who) is Right.MANAGE:
        return jobs
    seen = {document.id for document in documents_for(work, collection, who)}
    return [job for job in jobs if job.document in seen]


def answer_for(work: UnitOfWork, id: str, who: Principal) -> Answer:
    """An answer of one's own, or any in a collection one manages; never one that shows a document
    one may not read (any more). Raises UnknownAnswer."""
    answer = work.answers.get(id)
    try:
        collection = work.collections.get(answer.collection)
    except NotFound as exc:
        raise UnknownAnswer(f"there is no answer {id!r}") from exc
    held = readable(collection, who)
    own = answer.user == who.user or held is Right.MANAGE
    if held is None or not own or not may_read_sources(work, collection, answer, who):
        raise UnknownAnswer(f"there is no answer {id!r}")
    return answer


def may_read_sources(
    work: UnitOfWork, collection: Collection, answer: Answer, who: Principal
) -> bool:
    """Whether every document the answer cites or lists may be read by `who` today."""
    sources = {citation.document for citation in answer.citations}
    sources |= {passage.document for passage in answer.passages}
    sources |= {copy.document for passage in answer.passages for copy in passage.also}
    return all(may_read(collection, work.documents.get(id), who) for id in sources)
