"""Sign-in, users and their groups, API keys."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, SecretStr

from rag.api.access import ADMIN, EVERY_SCOPE, Admin, Caller, Reader, caller
from rag.api.parts import Here
from rag.api.passwords import hash_password, nobody, password_matches
from rag.api.sessions import new_key
from rag.domain import Principal
from rag.errors import BadInput, BadName, Conflict, NotFound, NotPermitted, NotSignedIn
from rag.ports import Account
from rag.views import Key, Session, User

router = APIRouter(tags=["accounts"])
NAME = re.compile(r"[^\W_][\w.@+-]{0,99}")


class SignIn(BaseModel):
    user: str = Field(max_length=200)
    password: SecretStr = Field(max_length=4096)


class NewUser(BaseModel):
    user: str = Field(max_length=200)
    password: SecretStr = Field(max_length=4096)
    groups: list[str] = Field(default=[], max_length=200)
    admin: bool = False


class NewPassword(BaseModel):
    password: SecretStr = Field(max_length=4096)


class Groups(BaseModel):
    groups: list[str] = Field(max_length=200)


class NewKey(BaseModel):
    label: str = Field(min_length=1, max_length=100)
    scopes: list[str] = ["read"]


@router.post("/sign-in")
def sign_in(body: SignIn, here: Here) -> Session:
    """A bearer token for this user. A wrong user and a wrong password look alike."""
    if here.settings.sign_in == "none":
        raise Conflict("sign-in is off: whoever sits at this machine is the local user")
    with here.attest.store() as work:
        account = _account_or_none(here, body.user)
        stored = account.password_hash if account else nobody()
        fits = password_matches(body.password.get_secret_value(), stored)
        if account is None or account.disabled or not fits:
            work.audit.add(body.user, "sign-in refused", body.user, {})
            work.commit()
            raise NotSignedIn("the user or the password is wrong")
        work.audit.add(account.user, "sign-in", account.user, {})
        work.commit()
    return here.sessions.start(account)


def _account_or_none(here: Here, user: str) -> Account | None:
    with here.attest.store() as work:
        try:
            return work.accounts.get(user)
        except NotFound:
            return None


@router.get("/me")
def me(who: Reader) -> Principal:
    return who


@router.get("/users")
def users(who: Admin, here: Here) -> list[User]:
    with here.attest.store() as work:
        return [_shown(account) for account in work.accounts.all()]


@router.post("/users", status_code=201)
def add_user(body: NewUser, who: Admin, here: Here) -> User:
    hashed = hash_password(body.password.get_secret_value())
    groups = _names(body.groups)
    with here.attest.store() as work:
        account = work.accounts.create(_name(body.user), hashed, groups, body.admin)
        work.audit.add(who.user, "add user", account.user, {"groups": _line(groups)})
        work.commit()
    return _shown(account)


@router.put("/users/{user}/groups")
def set_groups(user: str, body: Groups, who: Admin, here: Here) -> User:
    groups = _names(body.groups)
    with here.attest.store() as work:
        work.accounts.set_groups(user, groups)
        work.audit.add(who.user, "set groups", user, {"groups": _line(groups)})
        work.commit()
        return _shown(work.accounts.get(user))


@router.put("/users/{user}/password", status_code=204)
def set_password(
    user: str, body: NewPassword, here: Here, caller: Annotated[Caller, Depends(caller)]
) -> None:
    """Your own, or anyone's as an administrator. Ends that user's sessions."""
    own = caller.who.user == user and caller.scopes == EVERY_SCOPE
    if not own and not (caller.who.admin and ADMIN in caller.scopes):
        raise NotPermitted("only an administrator may set another user's password")
    hashed = hash_password(body.password.get_secret_value())
    with here.attest.store() as work:
        work.accounts.set_password(user, hashed)
        work.audit.add(caller.who.user, "set password", user, {})
        work.commit()


@router.delete("/users/{user}", status_code=204)
def disable_user(user: str, who: Admin, here: Here) -> None:
    """Ends the user's sessions and keys. What the user asked and changed stays on record."""
    with here.attest.store() as work:
        work.accounts.disable(user)
        work.audit.add(who.user, "disable user", user, {})
        work.commit()


@router.post("/keys", status_code=201)
def add_key(body: NewKey, here: Here, caller: Annotated[Caller, Depends(caller)]) -> Key:
    """A key for yourself. It cannot do more than the session or key that makes it."""
    scopes = frozenset(body.scopes)
    if not scopes or not scopes <= EVERY_SCOPE:
        raise BadInput(f"a key's scopes are some of {', '.join(sorted(EVERY_SCOPE))}")
    if caller.scopes != EVERY_SCOPE:
        raise NotPermitted("an API key cannot make further keys; sign in")
    key, hashed = new_key()
    with here.attest.store() as work:
        id = work.accounts.add_key(caller.who.user, body.label, hashed, scopes)
        detail = {"label": body.label, "scopes": _line(scopes)}
        work.audit.add(caller.who.user, "add key", id, detail)
        work.commit()
    return Key(id, body.label, key, scopes)


@router.delete("/keys/{id}", status_code=204)
def revoke_key(id: str, who: Admin, here: Here) -> None:
    with here.attest.store() as work:
        work.accounts.revoke_key(id)
        work.audit.add(who.user, "revoke key", id, {})
        work.commit()


def _shown(account: Account) -> User:
    return User(account.user, account.groups, account.admin, account.disabled)


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise BadName(
            f"{name!r:.120} cannot be a name; use up to 100 letters, digits and . _ @ + -, "
            "beginning with a letter or digit"
        )
    return name


def _names(names: list[str]) -> frozenset[str]:
    return frozenset(_name(name) for name in names)


def _line(names: frozenset[str]) -> str:
    return " ".join(sorted(names))
