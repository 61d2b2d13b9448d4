"""The typed HTTP client of the API: what pages, scripts and tests speak through.

It knows the nouns only. Whatever the API refuses comes back as the same typed error
(`rag.errors`); an API that cannot be reached raises Unavailable.

    with Client("http://127.0.0.1:8808") as client:
        job = client.upload("handbook", "leave.md", data)
        answer = client.ask("handbook", "How many days of leave?")
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from rag.domain import (
    Adapter,
    Answer,
    Block,
    Citation,
    Collection,
    Condition,
    Document,
    Explanation,
    Feedback,
    Found,
    Job,
    JobState,
    Leg,
    MetadataValue,
    Opinion,
    Origin,
    OriginItem,
    OriginKind,
    Passage,
    PersonalPolicy,
    Principal,
    Replayed,
    Right,
    Said,
    Turn,
    Version,
    Word,
)
from rag.errors import AttestError, BadInput, Unavailable
from rag.views import (
    Comparison,
    Extract,
    Health,
    Key,
    Reindexing,
    Run,
    Session,
    Shelf,
    Text,
    TuningRun,
    User,
)
from rag.wire import error_from_json, from_json, to_json

T = TypeVar("T")
STREAMED: dict[str, type[Found | Said | Answer]] = {"found": Found, "said": Said, "answer": Answer}


class Client:
    """`token` is a session token or an API key. `http` replaces the transport in tests."""

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        timeout: float = 300.0,
        http: httpx.Client | None = None,
    ) -> None:
        limits = httpx.Timeout(timeout, connect=5.0)
        self._http = http or httpx.Client(base_url=base_url, timeout=limits, trust_env=False)
        self.token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- who ---------------------------------------------------------------------------------

    def health(self) -> Health:
        return self._one(Health, "GET", "/health")

    def sign_in(self, user: str, password: str) -> Session:
        """Sign in and keep the token for the calls that follow. Raises NotSignedIn."""
        session = self._one(Session, "POST", "/sign-in", {"user": user, "password": password})
        self.token = session.token
        return session

    def me(self) -> Principal:
        return self._one(Principal, "GET", "/me")

    def users(self) -> list[User]:
        return self._many(User, "GET", "/users")

    def add_user(
        self, user: str, password: str, groups: Sequence[str] = (), admin: bool = False
    ) -> User:
        body = {"user": user, "password": password, "groups": list(groups), "admin": admin}
        return self._one(User, "POST", "/users", body)

    def set_groups(self, user: str, groups: Sequence[str]) -> User:
        return self._one(User, "PUT", f"/users/{_part(user)}/groups", {"groups": list(groups)})

    def set_password(self, user: str, password: str) -> None:
        self._call("PUT", f"/users/{_part(user)}/password", {"password": password})

    def disable_user(self, user: str) -> None:
        self._call("DELETE", f"/users/{_part(user)}")

    def add_key(self, label: str, scopes: Sequence[str] = ("read",)) -> Key:
        return self._one(Key, "POST", "/keys", {"label": label, "scopes": list(scopes)})

    def revoke_key(self, id: str) -> None:
        self._call("DELETE", f"/keys/{_part(id)}")

    # --- collections and documents -----------------------------------------------------------

    def collections(self) -> list[Collection]:
        return self._many(Collection, "GET", "/collections")

    def collection(self, name: str) -> Collection:
        return self._one(Collection, "GET", f"/collections/{_part(name)}")

    def create_collection(self, name: str, rights: Mapping[str, Right] | None = None) -> Collection:
        """`rights` maps groups to rights; by default every group of yours gets MANAGE."""
        body = {"name": name, "rights": None if rights is None else to_json(rights)}
        return self._one(Collection, "POST", "/collections", body)

    def set_rights(self, name: str, rights: Mapping[str, Right]) -> Collection:
        path = f"/collections/{_part(name)}/rights"
        return self._one(Collection, "PUT", path, {"rights": to_json(rights)})

    def set_personal_policy(self, name: str, policy: PersonalPolicy) -> Collection:
        """What is done from now on with personal data in what is handed in."""
        path = f"/collections/{_part(name)}/personal-data"
        return self._one(Collection, "PUT", path, {"policy": policy.value})

    def delete_collection(self, name: str) -> None:
        self._call("DELETE", f"/collections/{_part(name)}")

    def documents(self, collection: str) -> list[Document]:
        return [shelf.document for shelf in self.library(collection)]

    def library(self, collection: str) -> list[Shelf]:
        """Every document with its live version and its newest job, by name."""
        return self._many(Shelf, "GET", f"/collections/{_part(collection)}/documents")

    def document(self, id: str) -> Shelf:
        return self._one(Shelf, "GET", f"/documents/{_part(id)}")

    def delete_document(self, id: str) -> int:
        """Returns the generation from which the document is gone."""
        return int(self._call("DELETE", f"/documents/{_part(id)}")["generation"])

    def set_access(
        self,
        id: str,
        readers: Sequence[str] | None,
        metadata: Mapping[str, MetadataValue] | None = None,
    ) -> Document:
        """Narrow the readers to these groups (None: whoever reads the collection)."""
        body = {
            "readers": None if readers is None else list(readers),
            "metadata": dict(metadata or {}),
        }
        return self._one(Document, "PUT", f"/documents/{_part(id)}/access", body)

    def upload(
        self,
        collection: str,
        name: str,
        data: bytes,
        readers: Sequence[str] | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        *,
        bulk: bool = False,
    ) -> Job:
        """Hand in one file; it is kept once this returns. Follow it with `job(id)`. One of many
        should be `bulk`: it lets those go first that a person waits for."""
        options = {
            "readers": None if readers is None else list(readers),
            "metadata": dict(metadata or {}),
            "bulk": bulk,
        }
        found = self._send(
            "POST",
            f"/collections/{_part(collection)}/documents",
            data={"name": name, "options": json.dumps(options)},
            files={"file": ("upload", data, "application/octet-stream")},
        )
        return self._read(Job, found)

    # --- sources of documents ----------------------------------------------------------------

    def sources(self, collection: str) -> list[Origin]:
        """By name."""
        return self._many(Origin, "GET", f"/collections/{_part(collection)}/sources")

    def add_source(
        self,
        collection: str,
        name: str,
        kind: OriginKind,
        addresses: Sequence[str],
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        prefix: str = "",
        every: float | None = None,
        readers: Sequence[str] | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
    ) -> Origin:
        """Bring documents from a place and follow its changes, `every` so many seconds (0: only
        when asked; None: what suits the kind)."""
        body = {
            "name": name,
            "kind": kind.value,
            "addresses": list(addresses),
            "include": list(include),
            "exclude": list(exclude),
            "prefix": prefix,
            "every": every,
            "readers": None if readers is None else list(readers),
            "metadata": dict(metadata or {}),
        }
        return self._one(Origin, "POST", f"/collections/{_part(collection)}/sources", body)

    def source_items(self, collection: str, name: str) -> list[OriginItem]:
        """What was seen there, by key."""
        path = f"/collections/{_part(collection)}/sources/{_part(name)}/items"
        return self._many(OriginItem, "GET", path)

    def sync_source(self, collection: str, name: str, confirmed: bool = False) -> Origin:
        """Have it synced within seconds. `confirmed`: what the last sync held back, since so much
        vanished at once, is really gone."""
        path = f"/collections/{_part(collection)}/sources/{_part(name)}/sync"
        return self._one(Origin, "POST", path, {"confirmed": confirmed})

    def remove_source(self, collection: str, name: str, documents: bool = False) -> int:
        """`documents`: delete what it brought, too. Returns how many were."""
        path = f"/collections/{_part(collection)}/sources/{_part(name)}"
        return int(self._call("DELETE", path, params={"documents": documents})["deleted"])

    # --- indexing again ----------------------------------------------------------------------

    def reindexing(self, collection: str) -> Reindexing:
        """How far it is."""
        return self._one(Reindexing, "GET", f"/collections/{_part(collection)}/reindex")

    def reindex(self, collection: str, embedder: str | None = None) -> Reindexing:
        """Have every document read again from its stored bytes or, with an embedder that the
        settings name, all vectors made by it. Raises Conflict, BadInput."""
        path = f"/collections/{_part(collection)}/reindex"
        return self._one(Reindexing, "POST", path, {"embedder": embedder})

    def cancel_reindexing(self, collection: str) -> int:
        """How many documents and embedders were called off; what is live stays."""
        path = f"/collections/{_part(collection)}/reindex"
        return int(self._call("DELETE", path)["cancelled"])

    def forget_former(self, collection: str) -> Reindexing:
        """Remove the vectors of embedders that were replaced."""
        path = f"/collections/{_part(collection)}/reindex/former"
        return self._one(Reindexing, "DELETE", path)

    def reindex_document(self, id: str) -> list[str]:
        """It and those inside it; the ids of the jobs."""
        return list(self._call("POST", f"/documents/{_part(id)}/reindex")["jobs"])

    # --- jobs --------------------------------------------------------------------------------

    def jobs(self, collection: str, states: Sequence[JobState] = ()) -> list[Job]:
        """Newest first."""
        path = f"/collections/{_part(collection)}/jobs"
        return self._many(Job, "GET", path, params={"state": [state.value for state in states]})

    def job(self, id: str) -> Job:
        return self._one(Job, "GET", f"/jobs/{_part(id)}")

    def retry(self, job: str) -> Job:
        """Try a failed, poisoned or cancelled job again."""
        return self._one(Job, "POST", f"/jobs/{_part(job)}/retry")

    def cancel(self, job: str) -> Job:
        """Call off a waiting or running job. Raises Conflict when it has ended."""
        return self._one(Job, "POST", f"/jobs/{_part(job)}/cancel")

    def wait(self, job: str, seconds: float = 600.0, every: float = 0.3) -> Job:
        """Follow a job to its end. Raises Unavailable when it did not end in time."""
        until = time.monotonic() + seconds
        while True:
            found = self.job(job)
            if found.state not in (JobState.QUEUED, JobState.RUNNING):
                return found
            if time.monotonic() > until:
                raise Unavailable(f"job {job} is still {found.state.value} after {seconds:g} s")
            time.sleep(every)

    # --- versions: the words themselves ------------------------------------------------------

    def versions(self, document: str) -> list[Version]:
        return self._many(Version, "GET", f"/documents/{_part(document)}/versions")

    def version(self, id: str) -> Version:
        return self._one(Version, "GET", f"/versions/{_part(id)}")

    def text(self, document: str) -> str:
        """The text of the document's live version."""
        return self._one(Text, "GET", f"/documents/{_part(document)}/text").text

    def version_text(self, version: str) -> str:
        return self._one(Text, "GET", f"/versions/{_part(version)}/text").text

    def blocks(self, version: str) -> list[Block]:
        return self._many(Block, "GET", f"/versions/{_part(version)}/blocks")

    def words(self, version: str, page: int) -> list[Word]:
        """Where each word of the page stands; empty for formats without pages."""
        return self._many(Word, "GET", f"/versions/{_part(version)}/pages/{page}/words")

    def page_image(self, version: str, page: int, scale: float = 1.5) -> bytes:
        """The page as PNG, `scale` pixels per point. Raises UnknownDocument where none exists."""
        path = f"/versions/{_part(version)}/pages/{page}/image"
        return self._send("GET", path, params={"scale": scale}).content

    def rendering(self, version: str, start: int, end: int, around: int = 4_000) -> str:
        """The words start..end marked in the document around them, as HTML without scripts."""
        params = {"start": start, "end": end, "around": around}
        return self._send("GET", f"/versions/{_part(version)}/html", params=params).text

    def extract(self, version: str, start: int, end: int, around: int = 400) -> Extract:
        """The words start..end with up to `around` characters on either side."""
        params = {"start": start, "end": end, "around": around}
        return self._one(Extract, "GET", f"/versions/{_part(version)}/extract", params=params)

    def around(self, citation: Citation, characters: int = 400) -> Extract:
        """A citation's quote in its context."""
        return self.extract(citation.version, citation.start, citation.end, characters)

    # --- questions ---------------------------------------------------------------------------

    def ask(
        self,
        collection: str,
        question: str,
        conditions: Sequence[Condition] = (),
        history: Sequence[Turn] = (),
    ) -> Answer:
        """`history`: the conversation so far, oldest turn first."""
        body = _question(question, conditions, history)
        return self._one(Answer, "POST", f"/collections/{_part(collection)}/ask", body)

    def ask_stream(
        self,
        collection: str,
        question: str,
        conditions: Sequence[Condition] = (),
        history: Sequence[Turn] = (),
    ) -> Generator[Found | Said | Answer, None, None]:
        """The passages, then each verified sentence, then the stored answer. Closing the iterator
        early stops the work on the server."""
        path = f"/collections/{_part(collection)}/ask/stream"
        body = _question(question, conditions, history)
        try:
            with self._http.stream("POST", path, json=body, headers=self._headers()) as reply:
                if reply.is_error:
                    reply.read()
                    raise _refusal(reply)
                for line in reply.iter_lines():
                    if line:
                        yield self._event(line)
        except httpx.HTTPError as exc:
            raise Unavailable(f"the API at {self._http.base_url} broke off: {exc}") from exc

    def search(
        self,
        collection: str,
        query: str,
        leg: Leg = Leg.HYBRID,
        k: int = 10,
        conditions: Sequence[Condition] = (),
    ) -> list[Passage]:
        body = {
            "query": query,
            "leg": leg.value,
            "k": k,
            "conditions": to_json(list(conditions)),
        }
        return self._many(Passage, "POST", f"/collections/{_part(collection)}/search", body)

    def explain(
        self, collection: str, question: str, conditions: Sequence[Condition] = ()
    ) -> Explanation:
        """How a question would come to its passages; nothing is answered and nothing stored."""
        body = {"question": question, "conditions": to_json(list(conditions))}
        return self._one(Explanation, "POST", f"/collections/{_part(collection)}/explain", body)

    def answers(self, collection: str, limit: int = 50) -> list[Answer]:
        """Your own answers, newest first."""
        path = f"/collections/{_part(collection)}/answers"
        return self._many(Answer, "GET", path, params={"limit": limit})

    def answer(self, id: str) -> Answer:
        return self._one(Answer, "GET", f"/answers/{_part(id)}")

    def explanation(self, answer: str) -> Explanation:
        """How a stored answer came to its passages."""
        return self._one(Explanation, "GET", f"/answers/{_part(answer)}/explanation")

    def replay(self, answer: str) -> Replayed:
        return self._one(Replayed, "POST", f"/answers/{_part(answer)}/replay")

    def give_feedback(self, answer: str, verdict: Opinion, correction: str = "") -> Feedback:
        """Say whether an answer is right, in place of what you said before. `correction`, beside
        WRONG only: the right answer, or `rag.domain.NOT_HELD` where it should have refused."""
        body = {"verdict": verdict.value, "correction": correction}
        return self._one(Feedback, "POST", f"/answers/{_part(answer)}/feedback", body)

    def feedback(self, answer: str) -> Feedback | None:
        """What you said of an answer; None when you said nothing."""
        reply = self._send("GET", f"/answers/{_part(answer)}/feedback")
        return None if reply.json() is None else self._read(Feedback, reply)

    def feedback_of(self, collection: str) -> list[Feedback]:
        """What was said of a collection's answers, oldest first; for who manages it."""
        return self._many(Feedback, "GET", f"/collections/{_part(collection)}/feedback")

    # --- evaluation --------------------------------------------------------------------------

    def runs(self, limit: int = 50, kind: str = "") -> list[Run]:
        return self._many(Run, "GET", "/runs", params={"limit": limit, "kind": kind})

    def run(self, id: str) -> Run:
        return self._one(Run, "GET", f"/runs/{_part(id)}")

    def compare(self, first: str, second: str) -> Comparison:
        """Two runs of answers over the samples they share. Raises BadInput when they share none."""
        return self._one(Comparison, "GET", f"/runs/{_part(first)}/against/{_part(second)}")

    # --- tuning ------------------------------------------------------------------------------

    def tuning_runs(self) -> list[TuningRun]:
        """Training runs with their last step, newest first; for administrators."""
        return self._many(TuningRun, "GET", "/tuning")

    def tuning_run(self, name: str) -> TuningRun:
        """One run with its loss curve; for administrators."""
        return self._one(TuningRun, "GET", f"/tuning/{_part(name)}")

    def adapters(self) -> list[Adapter]:
        """Newest first; of the collections one manages, administrators all of them."""
        return self._many(Adapter, "GET", "/adapters")

    def promote_adapter(self, name: str) -> Adapter:
        """Raises UnknownAdapter, Conflict, NotPermitted."""
        return self._one(Adapter, "POST", f"/adapters/{_part(name)}/promote")

    def roll_adapter_back(self, name: str) -> list[Adapter]:
        """The adapter that was taken back, then the one that answers again, if there is one."""
        return self._many(Adapter, "POST", f"/adapters/{_part(name)}/rollback")

    # --- the wire ----------------------------------------------------------------------------

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            reply = self._http.request(method, path, headers=self._headers(), **options)
        except httpx.HTTPError as exc:
            raise Unavailable(
                f"the API at {self._http.base_url} cannot be reached ({exc}); is `attest up` "
                "running?"
            ) from exc
        if reply.is_error:
            raise _refusal(reply)
        return reply

    def _call(self, method: str, path: str, body: object = None, **options: Any) -> Any:
        if body is not None:
            options["json"] = body
        reply = self._send(method, path, **options)
        return reply.json() if reply.content else None

    def _one(self, kind: type[T], method: str, path: str, body: object = None, **rest: Any) -> T:
        if body is not None:
            rest["json"] = body
        return self._read(kind, self._send(method, path, **rest))

    def _many(
        self, kind: type[T], method: str, path: str, body: object = None, **rest: Any
    ) -> list[T]:
        if body is not None:
            rest["json"] = body
        found: list[T] = self._read(list[kind], self._send(method, path, **rest))  # type: ignore[valid-type]
        return found

    def _read(self, kind: type[T], reply: httpx.Response) -> T:
        try:
            return from_json(kind, reply.json())
        except (BadInput, ValueError) as exc:
            raise Unavailable(
                f"{self._http.base_url} answers in a form this client does not know: {exc}"
            ) from exc

    def _event(self, line: str) -> Found | Said | Answer:
        event = json.loads(line)
        if event["event"] == "error":
            raise error_from_json(event["data"])
        return from_json(STREAMED[event["event"]], event["data"])


def _question(
    question: str, conditions: Sequence[Condition], history: Sequence[Turn]
) -> dict[str, object]:
    return {
        "question": question,
        "conditions": to_json(list(conditions)),
        "history": to_json(list(history)),
    }


def _part(value: str) -> str:
    """One path segment, whatever it holds."""
    return quote(value, safe="")


def _refusal(reply: httpx.Response) -> AttestError:
    try:
        return error_from_json(reply.json())
    except ValueError:
        return Unavailable(f"{reply.request.url} answered {reply.status_code}, not as Attest does")
