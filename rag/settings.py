"""Settings as one frozen value, read once at the composition root and passed down.

Every field can be set as an environment variable `ATTEST_<FIELD>` or in `<data>/settings.toml`;
the environment wins. An unknown key or a value that cannot work stops the start (BadSettings).
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rag.allowed import AllowedHosts
from rag.errors import BadSettings

LOOPBACK = ("127.0.0.1", "::1", "localhost")
BUCKET = re.compile(r"[a-z][a-z0-9+.-]*://[^?#@\s]*")


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ATTEST_", frozen=True, extra="forbid")

    data: Path = Path("attest-data")

    # truth and work
    database_url: SecretStr | None = None  # default: SQLite in the data folder
    broker_url: SecretStr | None = None  # default: the Valkey server that `attest up` starts
    broker_port: int = 0  # 0: chosen by the data folder's path, remembered in it
    worker_processes: int = Field(2, ge=1, le=256)
    files_together: int = Field(64, ge=1, le=256)
    lease_seconds: float = Field(60.0, gt=0)
    max_attempts: int = Field(3, ge=1, le=20)
    sweep_seconds: float = Field(15.0, gt=0)

    # limits on what is taken in
    max_upload_bytes: int = Field(100 * 2**20, gt=0)
    max_pages: int = Field(5_000, gt=0)
    max_characters: int = Field(20_000_000, gt=0)
    max_archived_files: int = Field(1_000, gt=0)
    max_archived_bytes: int = Field(256 * 2**20, gt=0)
    max_archive_depth: int = Field(3, ge=1, le=20)
    parse_seconds: float = Field(60.0, gt=0)
    parse_memory_bytes: int = Field(1_500 * 2**20, gt=0)
    max_question_characters: int = Field(4_000, gt=0)

    # sources of documents: nothing is reached that is not listed here
    source_roots: tuple[Path, ...] = ()
    source_hosts: tuple[str, ...] = ()
    source_buckets: tuple[str, ...] = ()
    source_bucket_options: SecretStr | None = None
    source_items: int = Field(20_000, gt=0)
    source_seconds: float = Field(120.0, gt=0)
    source_request_seconds: float = Field(30.0, gt=0)
    source_poll_seconds: float = Field(5.0, gt=0)

    # chunks and retrieval
    chunk_tokens: int = Field(180, ge=16, le=4096)
    chunk_overlap_tokens: int = Field(0, ge=0, le=1024)
    lexical: Literal["tantivy", "rank_bm25"] = "tantivy"
    fusion: Literal["convex", "rrf"] = "convex"
    fusion_dense_weight: float = Field(0.7, ge=0, le=1)
    candidates: int = Field(50, ge=1, le=1000)
    reranker: Literal["auto", "none", "minilm-tokens-1"] = "none"
    rerank_candidates: int = Field(10, ge=1, le=200)
    passages: int = Field(5, ge=1, le=20)

    # the search engine
    search_engine: Literal["embedded", "postgresql", "milvus"] = "embedded"
    search_url: SecretStr | None = None
    search_dense: Literal["exact", "graph"] = "exact"

    # models
    model: str = "smollm2-135m-instruct"  # a pulled name, or the path of a checkpoint folder
    adapter: str = "default"  # a shipped or registered adapter, "none" for the base weights
    embedder: str = "all-minilm-l6-v2"
    embedders: tuple[str, ...] = ()  # further ones, pulled names or folders
    old_vectors_seconds: float = Field(7 * 86_400.0, ge=0)
    replaced_seconds: float = Field(30 * 86_400.0, ge=600)
    purge_seconds: float = Field(3_600.0, ge=0)
    package_index: str | None = None  # None: pip's own configuration
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int = Field(0, ge=0)  # 0: torch decides
    kv_memory_bytes: int = Field(256 * 2**20, ge=0)
    kv_disk_bytes: int = Field(2 * 2**30, ge=0)
    kv_precision: Literal["int8", "exact"] = "int8"
    warm_seconds: float = Field(300.0, ge=0)
    warm_load: float = Field(1.0, gt=0)
    merge_adapter: bool = False  # a second copy of the weights, for a slightly quicker first word
    max_answer_tokens: int = Field(160, ge=8, le=4096)
    verifier: Literal["auto", "lexical", "head"] = "auto"  # auto: head where its embedder is used
    min_support: float = Field(0.6, ge=0, le=1)
    min_confidence: float | None = Field(None, ge=0, le=1)  # None: what the adapter's card says

    # ways in
    host: str = "127.0.0.1"
    api_port: int = Field(8808, ge=0, le=65535)
    ui_port: int = Field(8809, ge=0, le=65535)
    sign_in: Literal["none", "local"] = "none"  # none: one local user, loopback only
    session_secret: SecretStr | None = None
    answers_at_once: int = Field(16, ge=1, le=1024)
    answers_waiting: int = Field(64, ge=0, le=100_000)
    answers_waiting_each: int = Field(16, ge=0, le=100_000)

    # the engine in a process of its own
    engine_process: bool = False
    engine_host: str = "127.0.0.1"
    engine_port: int = Field(8810, ge=0, le=65535)
    engine_url: str | None = None
    engine_key: SecretStr | None = Field(None, min_length=16)

    # evaluation
    nightly_samples: Path | None = None
    nightly_at: str = "03:00"
    nightly_limit: int = Field(200, ge=1)

    @field_validator("nightly_at")
    @classmethod
    def _time_of_day(cls, value: str) -> str:
        hours, _, minutes = value.partition(":")
        if not (hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60):
            raise ValueError(f"{value!r} is not a time of day; write it like 03:00")
        return value

    @field_validator("source_roots")
    @classmethod
    def _whole_paths(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if relative := [str(path) for path in value if not path.is_absolute()]:
            raise ValueError(f"{relative[0]!r} is not a path from the root, such as /srv/documents")
        return value

    @field_validator("source_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            AllowedHosts(value)
        except BadSettings as exc:
            raise ValueError(str(exc)) from exc
        return value

    @field_validator("source_buckets")
    @classmethod
    def _bucket_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [each for each in value if not BUCKET.fullmatch(each)]:
            raise ValueError(f"{wrong[0]!r} is not an address of a bucket, such as s3://reports")
        return value

    @field_validator("source_bucket_options")
    @classmethod
    def _bucket_options(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            held = {} if value is None else json.loads(value.get_secret_value())
        except ValueError:
            held = None
        if not isinstance(held, dict) or not all(isinstance(each, dict) for each in held.values()):
            raise ValueError('JSON is needed, such as {"s3://reports": {"key": "", "secret": ""}}')
        return value

    @model_validator(mode="after")
    def _open_addresses_need_sign_in(self) -> Settings:
        if self.host not in LOOPBACK and self.sign_in == "none":
            raise ValueError(
                f"host {self.host} can be reached by others, but sign_in is 'none'; set "
                "sign_in = 'local' and create a user with `attest users add`, or keep 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _search_engines_are_somewhere(self) -> Settings:
        if (self.search_engine == "embedded") != (self.search_url is None):
            raise ValueError(
                f"search_engine is {self.search_engine!r} and search_url is "
                f"{'not set' if self.search_url is None else 'set'}; set both to use a search "
                "engine on servers, or neither"
            )
        return self

    @field_validator("engine_url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError(f"{value!r} is no address; write it like http://10.0.0.5:8810")
        return value

    @field_validator("engine_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        plain = "" if value is None else value.get_secret_value()
        if not (plain.isascii() and (plain.isprintable() and " " not in plain)):
            raise ValueError("letters, digits and signs of ASCII only, without spaces")
        return value

    @model_validator(mode="after")
    def _open_engines_need_a_key(self) -> Settings:
        if self.engine_host not in LOOPBACK and self.engine_key is None:
            raise ValueError(
                f"engine_host {self.engine_host} can be reached by others, but there is no "
                "engine_key; set the same long secret for the engine and for whoever asks it, or "
                "keep 127.0.0.1"
            )
        if self.engine_process and self.engine_url is not None:
            raise ValueError(
                "engine_process starts an engine here and engine_url names one elsewhere; set "
                "either"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @property
    def database(self) -> str:
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data.resolve() / 'attest.db'}"

    @property
    def blobs(self) -> Path:
        return self.data / "blobs"

    @property
    def kv_folder(self) -> Path:
        return self.data / "kv"

    @property
    def index_folder(self) -> Path:
        return self.data / "index"

    @property
    def model_folder(self) -> Path:
        return self.data / "models"

    @property
    def prepared_folder(self) -> Path:
        """What the engine made of the weights, to begin quickly; it can be made again."""
        return self.data / "prepared"


class _Given(Settings):
    """Settings of these values and nothing else: the environment was read already."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def load_settings(data: Path | None = None, **overrides: Any) -> Settings:
    """Settings from the environment, `<data>/settings.toml` and `overrides`, in that order of
    strength from the middle out: file < environment < overrides. Raises BadSettings."""
    try:
        folder = data or Settings().data
        path = folder / "settings.toml"
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
        read = Settings(**values, data=folder)
        return _Given(**read.model_dump() | overrides) if overrides else read
    except (ValidationError, tomllib.TOMLDecodeError, OSError) as exc:
        raise BadSettings(f"settings cannot be used: {exc}") from exc
