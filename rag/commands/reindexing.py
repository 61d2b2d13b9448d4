"""`attest reindex COLLECTION`: read documents again, or change the embedder."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal
from rag.domain import Embedding, EmbeddingState, JobState, Principal, Right
from rag.reach import collection_for, document_for, documents_for
from rag.views import Reindexing
from rag.wire import Json, to_json

if TYPE_CHECKING:
    from rag.bootstrap import Attest

_FAILED = (JobState.FAILED, JobState.POISONED, JobState.CANCELLED)


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "reindex",
        parents=[common],
        help="read a collection's documents again from their stored bytes, or change its embedder",
        description="Questions are answered from what is there until the new is committed: "
        "document by document when they are read again, the whole collection at once with "
        "--embedder.",
    )
    parser.add_argument("collection", metavar="COLLECTION")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--document", metavar="NAME", help="only this one, with those inside it")
    what.add_argument(
        "--embedder",
        metavar="NAME",
        help="make all vectors by this embedder of the settings, then swap; back the same way",
    )
    what.add_argument("--status", action="store_true", help="how far it is")
    what.add_argument("--cancel", action="store_true", help="call off what is not done yet")
    what.add_argument(
        "--forget-old", action="store_true", help="remove the vectors of replaced embedders now"
    )
    parser.add_argument("--wait", action="store_true", help="until all is done")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace, terminal: Terminal) -> int:
    """With --wait, exit 1 when a document failed."""
    from ingestion import reindex
    from ingestion.queue import CeleryQueue
    from ingestion.running import ensure_worker

    failed = 0
    with opened(asked) as attest:
        who = acting(asked, attest)
        with ensure_worker(attest.settings) if asked.wait else nullcontext(None) as still_served:
            said, jobs = _begin(asked, attest, who)
            if still_served is not None:
                CeleryQueue(attest.settings).send_embed()  # the timer would, a little later
                failed = _follow(asked, attest, who, jobs, still_served, terminal)
        standing = reindex.standing(attest, who, asked.collection)
    document: Json = {"reindexing": to_json(standing), "jobs": list(jobs), "failed": failed}
    terminal.result(document, "\n".join([said, *_told(standing)] if said else _told(standing)))
    return 1 if failed else 0


def _begin(asked: argparse.Namespace, attest: Attest, who: Principal) -> tuple[str, Sequence[str]]:
    """What was begun, in words, and the jobs of it."""
    from ingestion import reindex
    from ingestion.queue import CeleryQueue

    if asked.status:
        return "", ()
    if asked.cancel:
        return f"called off: {reindex.cancel(attest, who, asked.collection)}", ()
    if asked.forget_old:
        gone = reindex.forget_former(attest, who, asked.collection)
        return f"vectors to be removed: of {len(gone)} embedders", ()
    if asked.embedder is not None:
        begun = reindex.embed_with(attest, who, asked.collection, asked.embedder)
        return f"{begun.embedder} takes over once it has all vectors", ()
    queue = CeleryQueue(attest.settings)
    if asked.document is None:
        jobs = reindex.read_again(attest, queue, who, asked.collection)
    else:
        id = _document(attest, who, asked.collection, asked.document)
        jobs = reindex.read_document_again(attest, queue, who, id)
    return f"{len(jobs)} documents will be read again", jobs


def _document(attest: Attest, who: Principal, collection: str, name: str) -> str:
    """The id of what is called so. Raises UnknownDocument."""
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.READ)
        named = {each.name: each.id for each in documents_for(work, held, who)}
        return document_for(work, named.get(name, name), who, Right.WRITE)[1].id


def _follow(
    asked: argparse.Namespace,
    attest: Attest,
    who: Principal,
    jobs: Sequence[str],
    still_served: Callable[[], None],
    terminal: Terminal,
) -> int:
    """Until all is done; how many documents failed. Raises Unavailable without a worker."""
    from ingestion import reindex

    waiting, failed = list(jobs), 0
    while True:
        with attest.store() as work:
            states = {id: work.jobs.get(id).state for id in waiting}
        failed += sum(state in _FAILED for state in states.values())
        waiting = [
            id for id, state in states.items() if state in (JobState.QUEUED, JobState.RUNNING)
        ]
        standing = reindex.standing(attest, who, asked.collection)
        building = [each for each in standing.embeddings if _unfinished(each)]
        if not waiting and not building:
            return failed
        done = f"{len(jobs) - len(waiting)} of {len(jobs)} documents; " if jobs else ""
        terminal.progress(done + "; ".join(map(_line, building)))
        still_served()
        time.sleep(0.2)


def _unfinished(embedding: Embedding) -> bool:
    return embedding.state not in (EmbeddingState.CURRENT, EmbeddingState.FORMER)


def _told(standing: Reindexing) -> list[str]:
    lines = [_line(each) for each in standing.embeddings]
    if standing.rereading:
        lines.append(f"{standing.rereading} documents are still to be read again")
    return lines


def _line(embedding: Embedding) -> str:
    share = f" {embedding.progress:.0%}" if embedding.state is EmbeddingState.BUILDING else ""
    error = f" ({embedding.error})" if embedding.error else ""
    return f"{embedding.state.value}{share}: {embedding.embedder or 'no document yet'}{error}"
