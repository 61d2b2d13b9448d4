"""A collection in the real store with a real embedded index, filled by one call a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from models.fake import HashEmbedder
from rag.domain import MetadataValue, Right
from rag.index.embedded import EmbeddedIndex, LexicalName
from rag.ports import Embedder, SearchIndex
from rag.store.unit import SqlStore
from tests.store.samples import accept, lease, publication


class Library:
    def __init__(self, store: SqlStore, rights: Mapping[str, Right]) -> None:
        self.store = store
        self.embedder: Embedder = HashEmbedder(64)
        with store() as work:
            self.collection = work.collections.create("library", rights).id
            work.commit()
        self.documents: dict[str, str] = {}
        self.index: SearchIndex = self.new_index()

    def new_index(self, lexical: LexicalName = "tantivy") -> EmbeddedIndex:
        return EmbeddedIndex(self.store, self.collection, self.embedder.dimension, lexical)

    def put(
        self,
        name: str,
        *texts: str,
        readers: frozenset[str] | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
    ) -> int:
        """The document's only version from the returned generation on."""
        job = accept(self.store, self.collection, name, "\n".join(texts), readers, metadata)
        self.documents[name] = job.document
        assert lease(self.store, job.id) is not None
        made = replace(
            publication(job.id, texts),
            indexed=list(texts),
            vectors=self.embedder.embed(texts),
            embedder=self.embedder.identity,
        )
        with self.store() as work:
            generation = work.documents.publish(job.id, "w1", made)
            work.commit()
        return generation

    def delete(self, name: str) -> None:
        with self.store() as work:
            work.documents.delete(self.documents[name])
            work.commit()

    def set_readers(self, name: str, readers: frozenset[str] | None) -> None:
        with self.store() as work:
            kept = work.documents.get(self.documents[name])
            work.documents.set_access(kept.id, readers, kept.metadata)
            work.commit()
