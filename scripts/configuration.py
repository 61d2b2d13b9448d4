"""Writes docs/configuration.md from rag/settings.py: `make docs`.

A section is a comment line between the fields; a meaning is the comment after a field, or the
longer one below where the name does not say it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from rag import settings as module
from rag.settings import Settings

TARGET = Path(__file__).parents[1] / "docs" / "configuration.md"
HEADER = """\
# Configuration

<!-- Written by `make docs` from rag/settings.py; change the settings there, not here. -->

Attest runs without any configuration. Every setting can be given as an environment variable
(`ATTEST_` and the name in capitals) or as a line of `settings.toml` in the data folder; the
environment wins, and the options of a command win over both. An unknown name or a value that cannot
work stops the start with a message that says which and why. Secrets never appear in logs.

```
ATTEST_PASSAGES=8 attest up --data my-data            # for one run
echo 'passages = 8' >> my-data/settings.toml          # for good
```
"""
MEANING = {
    "data": "the folder that holds everything; it is the backup",
    "database_url": "an SQLAlchemy address, SQLite or PostgreSQL; default: SQLite in `data`",
    "broker_url": "a Redis, Valkey or RabbitMQ address; default: a Valkey server that "
    "`attest up` starts on loopback",
    "worker_processes": "documents that are ingested at the same time on this machine",
    "files_together": "files of a bulk load, at most, that share a batch of the encoder and are "
    "committed together; 1: none share",
    "lease_seconds": "how long a worker may be silent before its job is given to another",
    "max_attempts": "the last of these attempts runs alone; whatever ends it too is poisoned",
    "sweep_seconds": "how often waiting and abandoned jobs are sent again",
    "max_upload_bytes": "largest upload",
    "max_pages": "most pages of one document",
    "max_characters": "most characters of one document's text",
    "max_archived_files": "most files in an archive or mail, those in archives within counted",
    "max_archived_bytes": "what the files in an archive or mail may unpack to together",
    "max_archive_depth": "how deep archives may lie in archives",
    "parse_seconds": "longest time that parsing one document may take",
    "parse_memory_bytes": "most memory that parsing one document may take",
    "max_question_characters": "longest question",
    "source_roots": "folders below which documents may be brought from",
    "source_hosts": "hosts that pages may be brought from: `wiki.example.org` (ports 80 and 443), "
    "`wiki.example.org:8080`, or a network such as `10.0.0.0/8`; a private address must be listed "
    "itself",
    "source_buckets": "addresses below which buckets may be read, such as `s3://reports`",
    "source_bucket_options": "JSON: what fsspec needs below an address, such as "
    '`{"s3://reports": {"key": "…", "secret": "…", "endpoint_url": "…"}}`; without it the '
    "protocol's own environment variables hold",
    "source_items": "most items of one source",
    "source_seconds": "longest time of one sync; the next one goes on from there",
    "source_request_seconds": "longest time of one page, with its redirects",
    "source_poll_seconds": "how often sources that are due are looked for",
    "chunk_tokens": "budget of a chunk, in the embedder's tokens",
    "chunk_overlap_tokens": "how much of a chunk's last sentences the next one begins with, "
    "where a section is cut",
    "lexical": "the BM25 index; `rank_bm25` is the slow reference",
    "fusion": "how the two legs are joined: weighted scores or reciprocal ranks",
    "fusion_dense_weight": "share of the dense leg in `convex` fusion",
    "candidates": "hits taken from each leg before fusion",
    "reranker": "what reads the candidates again and orders them anew; auto: the shipped one where "
    "`embedder` is the one it reads with, else the order of retrieval stays",
    "rerank_candidates": "passages that are read again; the rest stay below them in their order",
    "passages": "passages a question is answered from",
    "search_engine": "where passages are searched; see [Search engines](search-engines.md)",
    "search_url": "where it is. Milvus: `http://user:password@host:19530/database`; user, password "
    "and database where there are. PostgreSQL: `postgresql://user:password@host/database`; several "
    "nodes with spaces between, replicas as further hosts (`postgresql://one,two/database`)",
    "search_dense": "`exact` finds the best passages behind every filter by looking at all; "
    "`graph` is quicker over many millions and misses some",
    "model": "a pulled model's name, or the path of a checkpoint folder",
    "adapter": "`default`: the promoted adapter, else the shipped one; a name or path forces one, "
    "`none` the base weights",
    "embedder": "the model that turns the text of new collections into vectors; a collection keeps "
    "the one it began with, until `attest reindex COLLECTION --embedder NAME`",
    "embedders": "further models that collections are or will be embedded by: pulled names, or "
    "folders of sentence-transformers",
    "old_vectors_seconds": "how long the vectors of an embedder that was replaced are kept, for "
    "going back to it",
    "replaced_seconds": "how long a purge leaves versions that were replaced; those that a kept "
    "answer rests on stay longer",
    "purge_seconds": "how often the scheduler removes for good what is deleted, and what was "
    "replaced long ago; 0: only `attest purge` does",
    "package_index": "where `attest models pull` fetches from; default: pip's own configuration",
    "device": "where the models run; `auto` takes a GPU when there is one",
    "dtype": "precision of the generator; `auto`: bfloat16 where the device is good at it",
    "threads": "CPU threads of the models; 0: PyTorch decides",
    "kv_memory_bytes": "most memory of one process for the KV blocks of passages; 0: none",
    "kv_disk_bytes": "most disk space for KV blocks, under `kv` in `data`; 0: none",
    "warm_seconds": "how often an idle machine makes KV blocks ahead of use, for half a minute at "
    "most and on what nobody else wants of the processor; 0: never",
    "warm_load": "load average for each core above which it does not count as idle",
    "kv_precision": "KV blocks in one byte a number, or as the model computes them",
    "max_answer_tokens": "longest answer",
    "verifier": "what judges support: words alone, or words and meaning by a trained head; `auto`: "
    "the head where it was trained for the embedder in use",
    "min_support": "a sentence whose passages support it less than this is not shown",
    "min_confidence": "answers less sure are refusals; none: as the adapter's card says",
    "host": "the address that API and UI listen on; others than loopback need `sign_in`",
    "api_port": "port of the API",
    "ui_port": "port of the UI",
    "sign_in": "`none`: one local user; `local`: accounts with passwords",
    "session_secret": "signs sessions; needed with sign-in on several machines",
    "answers_at_once": "questions that one API process works on at the same time",
    "answers_waiting": "questions that wait for their turn; the next one is refused as busy",
    "answers_waiting_each": "of one user, where there is sign-in; turns go round between users",
    "engine_process": "`attest up` starts the engine beside the API, in a process of its own",
    "engine_host": "the address that the engine listens on; others than loopback need `engine_key`",
    "engine_port": "port of the engine",
    "engine_url": "the engine that answers; none: this process runs the model itself",
    "engine_key": "the secret that the engine asks of whoever asks it, at least 16 characters",
    "nightly_samples": "the sample file that is evaluated every night; empty: none",
    "nightly_at": "when, by the machine's clock",
    "nightly_limit": "how many of its samples",
}


def rows() -> Iterator[str]:
    """Markdown lines: a heading and a table for each section of the settings class."""
    path = Path(module.__file__)
    lines = path.read_text("utf-8").splitlines()
    tree = ast.parse(path.read_text("utf-8"))
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings").body
    yield from heading("the data folder")
    for node in body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        above = lines[node.lineno - 2].strip()
        if above.startswith("#"):
            yield from heading(above.lstrip("# "))
        comment = lines[(node.end_lineno or node.lineno) - 1].partition("  # ")[2]
        yield row(node.target.id, comment)


def heading(title: str) -> Iterator[str]:
    yield from ("", f"## {title[0].upper()}{title[1:]}", "")
    yield from ("| setting | values | default | meaning |", "|---|---|---|---|")


def row(name: str, comment: str) -> str:
    field = Settings.model_fields[name]
    meaning = MEANING.get(name) or comment
    cells = (f"`{name}`", values(field), default(field.default), meaning.replace("|", "\\|"))
    return f"| {' | '.join(cells)} |"


def values(field: Any) -> str:
    """The type in words, with the bounds that are checked."""
    choices = [one for one in get_args(field.annotation) if isinstance(one, str)]
    if choices:
        return ", ".join(f"`{one}`" for one in choices)
    if get_origin(field.annotation) is tuple:
        return f"list of {'paths' if Path in get_args(field.annotation) else 'texts'}"
    kinds = get_args(field.annotation) or (field.annotation,)
    name = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    kind = {Path: "path", SecretStr: "secret text"} | name
    signs = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
    bounds = [
        f"{sign} {getattr(check, key):,}"
        for check in field.metadata
        for key, sign in signs
        if hasattr(check, key)
    ]
    return " ".join([kind.get(kinds[0], "text"), ", ".join(bounds)]).strip()


def default(value: Any) -> str:
    if value in (None, ()) or value is PydanticUndefined:
        return ""
    return f"`{value}`"


def page() -> str:
    return HEADER + "\n".join(rows()) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), "utf-8")
    print(f"written: {TARGET}")
