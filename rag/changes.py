"""Changes people make, each with its right checked and its audit entry in one transaction. Both
ways in, the API and the command line, go through here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rag.domain import (
    Collection,
    Document,
    Job,
    MetadataValue,
    PersonalPolicy,
    Principal,
    Right,
)
from rag.errors import BadInput, BadName, NotPermitted
from rag.ports import Account, Store, UnitOfWork
from rag.reach import collection_for, document_for, job_for

NAME = re.compile(r"[^\W_][\w.@+-]{0,99}")
PERSONAL = "personal_data"  # the collection's setting
Detail = dict[str, MetadataValue]


# --- collections -------------------------------------------------------------------------------


def create_collection(
    store: Store, who: Principal, name: str, rights: Mapping[str, Right] | None = None
) -> Collection:
    """By default every group of `who` may MANAGE it. Raises Conflict, BadName, BadInput."""
    if "/" in name or not name.strip("."):
        raise BadName(f"a collection's name is one part of an address; {name!r:.120} cannot be one")
    granted = dict(rights) if rights else dict.fromkeys(who.groups, Right.MANAGE)
    _keeps_a_manager(granted, who)
    with store() as work:
        collection = work.collections.create(name, granted)
        work.audit.add(who.user, "create collection", collection.name, _rights(granted))
        work.commit()
    return collection


def set_rights(store: Store, who: Principal, name: str, rights: Mapping[str, Right]) -> Collection:
    with store() as work:
        collection = collection_for(work, name, who, Right.MANAGE)
        _keeps_a_manager(rights, who)
        work.collections.set_rights(collection.id, rights)
        work.audit.add(who.user, "set rights", collection.name, _rights(rights))
        work.commit()
        return work.collections.get(collection.id)


def personal_policy(collection: Collection) -> PersonalPolicy:
    """Raises BadInput for a stored word that is no policy: an unknown one must not mean ALLOW."""
    held = str(collection.settings.get(PERSONAL, PersonalPolicy.ALLOW))
    try:
        return PersonalPolicy(held)
    except ValueError as exc:
        raise BadInput(
            f"collection {collection.name!r} has the unknown policy {held!r:.40} for personal "
            "data; set it to allow, mask or refuse"
        ) from exc


def set_personal_policy(
    store: Store, who: Principal, name: str, policy: PersonalPolicy
) -> Collection:
    """For what is handed in from now on; what is live stays as it is."""
    with store() as work:
        collection = collection_for(work, name, who, Right.MANAGE)
        work.collections.set_settings(collection.id, {**collection.settings, PERSONAL: policy})
        work.audit.add(who.user, "set personal data policy", name, {"policy": policy.value})
        work.commit()
        return work.collections.get(collection.id)


def delete_collection(store: Store, who: Principal, name: str) -> Collection:
    with store() as work:
        collection = collection_for(work, name, who, Right.MANAGE)
        work.collections.delete(collection.id)
        work.audit.add(who.user, "delete collection", collection.name, {"id": collection.id})
        work.commit()
    return collection


def _keeps_a_manager(rights: Mapping[str, Right], who: Principal) -> None:
    if not any(right is Right.MANAGE and group in who.groups for group, right in rights.items()):
        raise BadInput(
            "one of your own groups must have the right to manage the collection "
            f"(you are in: {', '.join(sorted(who.groups)) or 'no group'})"
        )


def _rights(rights: Mapping[str, Right]) -> Detail:
    return {group: right.value for group, right in sorted(rights.items())}


# --- documents ---------------------------------------------------------------------------------


def delete_document(store: Store, who: Principal, id: str) -> tuple[Document, int]:
    """The document and the generation from which no question sees it."""
    with store() as work:
        collection, document = document_for(work, id, who, Right.WRITE)
        generation = end_document(work, who, collection, document)
        work.commit()
    return document, generation


def end_document(
    work: UnitOfWork, who: Principal, collection: Collection, document: Document
) -> int:
    """Delete it, with its entry in the audit log; the caller has checked the right, and commits."""
    generation = work.documents.delete(document.id)
    detail: Detail = {
        "name": document.name,
        "collection": collection.name,
        "generation": generation,
    }
    work.audit.add(who.user, "delete document", document.id, detail)
    return generation


def set_access(
    store: Store,
    who: Principal,
    id: str,
    readers: frozenset[str] | None,
    metadata: Mapping[str, MetadataValue],
) -> Document:
    with store() as work:
        collection, document = document_for(work, id, who, Right.WRITE)
        generation = work.documents.set_access(id, readers, metadata)
        detail: Detail = {
            "name": document.name,
            "collection": collection.name,
            "readers": "all" if readers is None else _line(readers),
            "generation": generation,
        }
        work.audit.add(who.user, "set access", id, detail)
        work.commit()
        return work.documents.get(id)


def retry_job(store: Store, who: Principal, id: str) -> Job:
    """Queued again; the caller sends it once this has returned."""
    with store() as work:
        job_for(work, id, who, Right.WRITE)
        job = work.jobs.retry(id)
        work.audit.add(who.user, "retry job", id, {"name": job.name})
        work.commit()
    return job


def cancel_job(store: Store, who: Principal, id: str) -> Job:
    """Queued or running, it is called off; a worker that has it notices at its next heartbeat."""
    with store() as work:
        job_for(work, id, who, Right.WRITE)
        job = work.jobs.cancel(id, who.user)
        work.audit.add(who.user, "cancel job", id, {"name": job.name})
        work.commit()
    return job


# --- accounts ----------------------------------------------------------------------------------


def add_user(
    store: Store,
    who: Principal,
    user: str,
    password_hash: str,
    groups: Iterable[str] = (),
    admin: bool = False,
) -> Account:
    """Raises Conflict when the name is taken, BadName, NotPermitted."""
    _admin(who)
    named = _names(groups)
    with store() as work:
        account = work.accounts.create(_name(user), password_hash, named, admin)
        work.audit.add(who.user, "add user", user, {"groups": _line(named), "admin": admin})
        work.commit()
    return account


def set_groups(store: Store, who: Principal, user: str, groups: Iterable[str]) -> Account:
    _admin(who)
    named = _names(groups)
    with store() as work:
        work.accounts.set_groups(user, named)
        work.audit.add(who.user, "set groups", user, {"groups": _line(named)})
        work.commit()
        return work.accounts.get(user)


def set_password(store: Store, who: Principal, user: str, password_hash: str) -> None:
    """One's own, or anyone's as an administrator. Sessions started with the old one end."""
    if who.user != user:
        _admin(who)
    with store() as work:
        work.accounts.set_password(user, password_hash)
        work.audit.add(who.user, "set password", user, {})
        work.commit()


def disable_user(store: Store, who: Principal, user: str) -> None:
    """Ends the user's sessions and keys. What the user asked and changed stays on record."""
    _admin(who)
    with store() as work:
        work.accounts.disable(user)
        work.audit.add(who.user, "disable user", user, {})
        work.commit()


def add_key(store: Store, who: Principal, label: str, key_hash: str, scopes: frozenset[str]) -> str:
    """Returns the key's id."""
    with store() as work:
        id = work.accounts.add_key(who.user, label, key_hash, scopes)
        work.audit.add(who.user, "add key", id, {"label": label, "scopes": _line(scopes)})
        work.commit()
    return id


def revoke_key(store: Store, who: Principal, id: str) -> None:
    _admin(who)
    with store() as work:
        work.accounts.revoke_key(id)
        work.audit.add(who.user, "revoke key", id, {})
        work.commit()


def _admin(who: Principal) -> None:
    if not who.admin:
        raise NotPermitted("only an administrator may do this")


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise BadName(
            f"{name!r:.120} cannot be a name; use up to 100 letters, digits and . _ @ + -, "
            "beginning with a letter or digit"
        )
    return name


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(_name(name) for name in names)


def _line(names: Iterable[str]) -> str:
    return " ".join(sorted(names))
