"""`attest index`: the search index that is derived from the database; for administrators."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal
from rag.errors import BadInput, NotPermitted
from rag.wire import Json

if TYPE_CHECKING:
    from rag.bootstrap import Attest
    from rag.domain import Collection
    from rag.index.engine import Engine

OWN = "search_engine is 'embedded': every process keeps an index of its own, made from the database"


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("index", parents=[common], help="the search index")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    showing = verbs.add_parser(
        "status", parents=[common], help="what the search engine holds of each collection"
    )
    showing.set_defaults(run=status)
    building = verbs.add_parser(
        "rebuild", parents=[common], help="wipe a collection's index and feed it again"
    )
    building.add_argument("collection", metavar="COLLECTION")
    building.set_defaults(run=rebuild)
    sweeping = verbs.add_parser(
        "sweep", parents=[common], help="drop what the engine still holds of deleted collections"
    )
    sweeping.set_defaults(run=sweep)


def status(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        _administer(asked, attest)
        with attest.store() as work:
            collections = work.collections.all()
            read = {each.id: work.embeddings.current(each.id).id for each in collections}
        name, engine = attest.settings.search_engine, attest.search_engine
        found = (
            [] if engine is None else [_held(engine, each, read[each.id]) for each in collections]
        )
    lines = [
        "{collection}: generation {applied} of {committed}, {rows} rows".format_map(each)
        for each in found
    ]
    first = OWN if engine is None else f"search_engine is {name!r}"
    document: Json = {"engine": name, "collections": [dict(each) for each in found]}
    terminal.result(document, "\n".join([first, *lines]))
    return 0


def _held(engine: Engine, collection: Collection, embedding: str) -> dict[str, str | int]:
    held = engine.held(embedding)
    return {
        "collection": collection.name,
        "committed": collection.generation,
        "applied": held.generation,
        "rows": engine.rows(embedding, held.build) if held.build else 0,
    }


def rebuild(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Questions on the collection wait meanwhile, and fail after some time."""
    from rag.index.fed import FedIndex

    with opened(asked) as attest:
        _administer(asked, attest)
        if attest.search_engine is None:
            raise BadInput(f"{OWN}; restart them instead")
        with attest.store() as work:
            collection = work.collections.named(asked.collection)
        index = attest.index(collection.id)
        if not isinstance(index, FedIndex):
            raise BadInput(OWN)
        generation = index.rebuild(
            lambda at: terminal.progress(f"generation {at} of {collection.generation}")
        )
    terminal.result(
        {"collection": collection.name, "generation": generation},
        f"{collection.name} is built again, up to generation {generation}",
    )
    return 0


def sweep(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        _administer(asked, attest)
        if attest.search_engine is None:
            raise BadInput(f"{OWN}; there is nothing to sweep")
        with attest.store() as work:
            kept = work.embeddings.searched()
        count = attest.search_engine.sweep(kept)
    terminal.result({"swept": count}, f"{count} deleted collections dropped from the engine")
    return 0


def _administer(asked: argparse.Namespace, attest: Attest) -> None:
    """Raises NotPermitted."""
    who = acting(asked, attest)
    if not who.admin:
        raise NotPermitted(f"{who.user} is no administrator; the index is of all collections")
