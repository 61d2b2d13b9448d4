"""How rows and filters are written in Milvus' words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from rag.domain import Filter
from rag.errors import IndexUnavailable
from rag.index.labels import condition_labels, label, metadata_labels, reader_labels
from rag.index.lexical import K1, B
from rag.index.terms import terms
from rag.ports import Row

if TYPE_CHECKING:  # importing pymilvus opens a socket
    from pymilvus import CollectionSchema
    from pymilvus.milvus_client.index import IndexParams

Dense = Literal["exact", "graph"]

STORED = ("row", "chunk", "document", "born", "died", "readers", "labels", "words", "vector")
LIVE = 2**62  # `died` of a row that has not
EVERYBODY = "everybody"  # among the readers of a row that names none; no label looks like it

_LABEL = 32
_TEXT = 65_535  # bytes, Milvus' longest
_LIST = 4_096  # Milvus' longest list
_LETTERS = 7  # of a word's name; with the blank, 8,191 words fit into a text


def rows_schema(dimension: int) -> CollectionSchema:
    from pymilvus import DataType, Function, FunctionType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("chunk", DataType.VARCHAR, max_length=512)
    schema.add_field("document", DataType.VARCHAR, max_length=_LABEL)
    schema.add_field("born", DataType.INT64)
    schema.add_field("died", DataType.INT64)
    for name in ("readers", "labels"):
        schema.add_field(
            name,
            DataType.ARRAY,
            element_type=DataType.VARCHAR,
            max_capacity=_LIST,
            max_length=_LABEL,
        )
    schema.add_field(
        "words",
        DataType.VARCHAR,
        max_length=_TEXT,
        enable_analyzer=True,
        analyzer_params={"tokenizer": "standard"},
    )
    schema.add_field("counts", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    schema.add_function(
        Function(
            name="bm25",
            function_type=FunctionType.BM25,
            input_field_names=["words"],
            output_field_names=["counts"],
        )
    )
    return schema


def rows_indexes(dense: Dense) -> IndexParams:
    from pymilvus import MilvusClient

    params = MilvusClient.prepare_index_params()
    if dense == "exact":
        params.add_index("vector", index_type="FLAT", metric_type="IP")
    else:
        graph = {"M": 16, "efConstruction": 200}
        params.add_index("vector", index_type="HNSW", metric_type="IP", params=graph)
    constants = {"bm25_k1": K1, "bm25_b": B}
    params.add_index(
        "counts", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25", params=constants
    )
    return params


def record_schema() -> CollectionSchema:
    """What was applied, one row a collection."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("collection", DataType.VARCHAR, is_primary=True, max_length=_LABEL)
    schema.add_field("build", DataType.VARCHAR, max_length=_LABEL)
    schema.add_field("generation", DataType.INT64)
    schema.add_field("mark", DataType.VARCHAR, max_length=512)
    schema.add_field("nothing", DataType.FLOAT_VECTOR, dim=2)  # Milvus wants one everywhere
    return schema


def record_indexes() -> IndexParams:
    from pymilvus import MilvusClient

    params = MilvusClient.prepare_index_params()
    params.add_index("nothing", index_type="FLAT", metric_type="L2")
    return params


def entity(row: Row) -> dict[str, Any]:
    """A row as Milvus holds it. Raises IndexUnavailable for what does not fit."""
    readers = [EVERYBODY] if row.readers is None else reader_labels(row.readers)
    labels = metadata_labels(row.metadata)
    spoken = words(terms(row))
    for what, long, most in (
        ("groups", len(readers), _LIST),
        ("metadata values", len(labels), _LIST),
        ("words, headings counted twice,", (len(spoken) + 1) // (_LETTERS + 1), _TEXT // 8),
    ):
        if long > most:
            raise IndexUnavailable(
                f"chunk {row.chunk} has {long} {what} and Milvus holds at most {most}; take some "
                "away, or choose another search_engine"
            )
    return {
        "row": row.row,
        "chunk": row.chunk,
        "document": label(row.document),
        "born": row.born,
        "died": LIVE if row.died is None else row.died,
        "readers": readers,
        "labels": labels,
        "words": spoken,
        "vector": row.vector.tolist(),
    }


def words(tokens: Sequence[str]) -> str:
    """Our tokens as names of seven letters, which no analyser of the server can cut, fold or drop.
    Milvus itself counts words by 32 bits of a hash; these have 32.9."""
    return " ".join(_name(token) for token in tokens)


def _name(token: str) -> str:
    number = int.from_bytes(hashlib.sha256(token.encode()).digest()[:8], "big")
    letters = []
    for _ in range(_LETTERS):
        number, letter = divmod(number, 26)
        letters.append(chr(ord("a") + letter))
    return "".join(letters)


def expression(filter: Filter) -> str:
    """A filter's rows, in Milvus' boolean expressions. Only labels and numbers come into it."""
    at = filter.generation
    readers = [EVERYBODY, *reader_labels(filter.groups)]
    clauses = [f"born <= {at}", f"died > {at}", _any("readers", readers)]
    if filter.documents is not None:
        named = sorted(label(document) for document in filter.documents)
        clauses.append(f"document in {json.dumps(named)}")
    clauses += [_any("labels", condition_labels(each)) for each in filter.conditions]
    return " and ".join(clauses)


def _any(field: str, labels: Sequence[str]) -> str:
    return f"array_contains_any({field}, {json.dumps(list(labels))})"
