"""Sign-in, users and their groups, API keys."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field, SecretStr

from rag import changes
from rag.api.access import EVERY_SCOPE, Admin, Owner, Reader
from rag.api.parts import Here
from rag.api.passwords import hash_password, nobody, password_matches
from rag.api.sessions import new_key
from rag.domain import Principal
from rag.errors import BadInput, Conflict, NotFound, NotSignedIn
from rag.ports import Account
from rag.views import Key, Session, User

router = APIRouter(tags=["accounts"])


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
    account = changes.add_user(here.attest.store, who, body.user, hashed, body.groups, body.admin)
    return _shown(account)


@router.put("/users/{user}/groups")
def set_groups(user: str, body: Groups, who: Admin, here: Here) -> User:
    return _shown(changes.set_groups(here.attest.store, who, user, body.groups))


@router.put("/users/{user}/password", status_code=204)
def set_password(user: str, body: NewPassword, who: Owner, here: Here) -> None:
    """Your own, or anyone's as an administrator. Ends that user's sessions."""
    hashed = hash_password(body.password.get_secret_value())
    changes.set_password(here.attest.store, who, user, hashed)


@router.delete("/users/{user}", status_code=204)
def disable_user(user: str, who: Admin, here: Here) -> None:
    """Ends the user's sessions and keys. What the user asked and changed stays on record."""
    changes.disable_user(here.attest.store, who, user)


@router.post("/keys", status_code=201)
def add_key(body: NewKey, who: Owner, here: Here) -> Key:
    """A key for yourself. It can never do more than you can."""
    scopes = frozenset(body.scopes)
    if not scopes or not scopes <= EVERY_SCOPE:
        raise BadInput(f"a key's scopes are some of {', '.join(sorted(EVERY_SCOPE))}")
    key, hashed = new_key()
    id = changes.add_key(here.attest.store, who, body.label, hashed, scopes)
    return Key(id, body.label, key, scopes)


@router.delete("/keys/{id}", status_code=204)
def revoke_key(id: str, who: Admin, here: Here) -> None:
    changes.revoke_key(here.attest.store, who, id)


def _shown(account: Account) -> User:
    return User(account.user, account.groups, account.admin, account.disabled)
