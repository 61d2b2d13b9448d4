"""The lexical leg on tantivy, in memory or in a folder: one writer thread, many readers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import tantivy
from tantivy import Occur, Query

from rag.errors import Corrupt, IndexUnavailable
from rag.index.mask import Mask
from rag.index.ranked import NOTHING, Ranked, exact_top

_WRITER_BYTES = 32 * 2**20
BUILD_BYTES = 256 * 2**20  # of the writer that makes a snapshot: fewer, larger segments
_NARROW = 4  # labels of one row in so many, or fewer, are looked up (docs/experiments.md)
_TOGETHER = 32  # rows, about 2 ms
_FOREIGN = (ValueError, RuntimeError, OSError, OverflowError)  # all that tantivy raises


class TantivyLexical:
    """BM25 with tantivy's constants (k1 1.2, b 0.75, the `lexical` module's) and its one-byte
    document lengths, exact up to 40 tokens.

    tantivy adds a row's term scores in float32 in the order of the query's terms, so terms are
    sorted: the same rows then score the same bit for bit, in one segment or in many.

    A folder holds what was added before, `rows` of them; what is added goes there too. Raises
    Corrupt when it holds something else.
    """

    def __init__(
        self, folder: Path | None = None, rows: int = 0, writer_bytes: int = _WRITER_BYTES
    ) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_integer_field("position", fast=True)
        builder.add_text_field("tokens", tokenizer_name="analysed", index_option="freq")
        builder.add_text_field("labels", tokenizer_name="raw", index_option="basic")
        self._schema = builder.build()
        try:
            self._index = tantivy.Index(self._schema, None if folder is None else str(folder))
            analysed = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
            self._index.register_tokenizer("analysed", analysed)
            self._index.config_reader("manual")
            self._writer = self._index.writer(heap_size=writer_bytes, num_threads=1)
        except _FOREIGN as exc:
            raise Corrupt(f"the lexical index in {folder} cannot be opened: {exc}") from exc
        self._searcher = self._index.searcher()
        self._added = rows
        if self._searcher.num_docs != rows:
            raise Corrupt(f"{folder} holds {self._searcher.num_docs} rows, not {rows}")
        self._permits: WeakKeyDictionary[Mask, list[Query]] = WeakKeyDictionary()

    def add(self, rows: Sequence[Sequence[str]], labels: Sequence[Sequence[str]] = ()) -> None:
        try:
            for tokens, own in zip_longest(rows, labels, fillvalue=()):
                document = tantivy.Document()
                # The type of a Python int through Document(position=...) would be guessed, and a
                # value of another type than the schema's is lost, or kills the writer.
                document.add_integer("position", self._added)
                document.add_text("tokens", " ".join(tokens))
                for label in own:
                    document.add_text("labels", label)
                self._writer.add_document(document)
                self._added += 1
                if not self._added % _TOGETHER:
                    time.sleep(0)  # lets questions in
            self._writer.commit()
        except _FOREIGN as exc:
            raise IndexUnavailable(
                f"the lexical index stopped while rows were added: {exc}; it is built again from "
                "the database at the next question"
            ) from exc

    def close(self) -> None:
        """Finish what the writer does in the background; nothing can be added afterwards."""
        self._writer.wait_merging_threads()

    def show(self) -> None:
        try:
            self._index.reload()
        except _FOREIGN as exc:
            raise IndexUnavailable(f"the lexical index cannot be read: {exc}") from exc
        self._searcher = self._index.searcher()
        if self._searcher.num_docs != self._added:
            raise IndexUnavailable(
                f"the lexical index holds {self._searcher.num_docs} rows of {self._added}; it is "
                "built again from the database at the next question"
            )

    def search(self, tokens: Sequence[str], mask: Mask, k: int) -> Ranked:
        rows = self._searcher.num_docs
        if k < 1 or not tokens or not mask.count or not rows:
            return NOTHING
        query = self._any_of(tokens)
        wanted = min(k, mask.count)
        # Few rows have the labels: tantivy intersects with them. Many: the best rows overall hold
        # enough permitted ones, and are found sooner without.
        among = rows
        if mask.labels and _NARROW * mask.within < rows:
            clauses = (*self._permit(mask), query)
            query = Query.boolean_query([(Occur.Must, each) for each in clauses])
            among = mask.within
        first = wanted * among // mask.count + 16

        def best(n: int) -> Ranked:
            return self._best(query, min(n, rows + 1))

        try:
            return exact_top(best, mask.allowed, k, min(first, rows + 1))
        except _FOREIGN as exc:
            raise IndexUnavailable(f"the lexical index cannot be searched: {exc}") from exc

    def _any_of(self, tokens: Sequence[str]) -> Query:
        clauses = []
        for token, times in sorted(Counter(tokens).items()):
            term = Query.term_query(self._schema, "tokens", token, index_option="freq")
            clauses.append((Occur.Should, Query.boost_query(term, times) if times > 1 else term))
        return Query.boolean_query(clauses)

    def _permit(self, mask: Mask) -> list[Query]:
        """The rows that have the mask's labels, which score nothing."""
        permit = self._permits.get(mask)
        if permit is None:
            sets = (Query.term_set_query(self._schema, "labels", each) for each in mask.labels)
            permit = self._permits[mask] = [Query.const_score_query(each, 0.0) for each in sets]
        return permit

    def _best(self, query: Query, n: int) -> Ranked:
        hits = self._searcher.search(query, n, count=False).hits
        positions = self._searcher.fast_field_values("position", [hit[1] for hit in hits])
        scores = np.array([hit[0] for hit in hits], np.float64)
        return Ranked(np.array(positions, np.int64), scores)
