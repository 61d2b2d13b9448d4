"""Who is asking, by request. Every route but health and sign-in takes one of the callers
below; which collection they may touch is then decided by `rag.permit`.

An API key's scopes narrow what its user may do, never widen it: `read`, `write`, `manage` (each
including the ones before), `admin` for accounts, and `metrics`, with which an administrator's key
reads /metrics and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from rag.api.parts import Here, Parts
from rag.api.sessions import KEY_PREFIX, key_hash, still_marked
from rag.domain import LOCAL_USER, Principal, Right
from rag.errors import NotFound, NotPermitted, NotSignedIn
from rag.ports import Account

ADMIN = "admin"
METRICS = "metrics"
WHOLE = frozenset({*(right.value for right in Right), ADMIN})  # all that a user may
EVERY_SCOPE = WHOLE | {METRICS}


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal and what this session or key may be used for."""

    who: Principal
    scopes: frozenset[str]

    def may(self, right: Right) -> bool:
        return any(Right(scope).includes(right) for scope in self.scopes - {ADMIN, METRICS})


def caller(request: Request, here: Here) -> Caller:
    """Raises NotSignedIn. Reads the account on each request: a disabled user is out at once."""
    if here.settings.sign_in == "none":
        return Caller(LOCAL_USER, EVERY_SCOPE)
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotSignedIn("sign in first: POST /sign-in, then send the token as a bearer token")
    return _caller(here, token.strip())


def _caller(here: Parts, token: str) -> Caller:
    with here.attest.store() as work:
        if token.startswith(KEY_PREFIX):
            account, scopes = work.accounts.by_key(key_hash(token))
            if account.disabled:
                raise NotSignedIn("this user is disabled")
            return Caller(_principal(account), scopes & EVERY_SCOPE)
        user, mark = here.sessions.user(token)
        try:
            account = work.accounts.get(user)
        except NotFound as exc:
            raise NotSignedIn("this session's user is gone; sign in again") from exc
    if not still_marked(account, mark):
        raise NotSignedIn("this session has ended; sign in again")
    return Caller(_principal(account), EVERY_SCOPE)


def _principal(account: Account) -> Principal:
    return Principal(account.user, account.groups, account.admin)


def _holding(right: Right) -> Callable[[Caller], Principal]:
    def principal(caller: Annotated[Caller, Depends(caller)]) -> Principal:
        if not caller.may(right):
            raise NotPermitted(f"this API key's scopes do not include {right.value!r}")
        return caller.who

    return principal


def _admin(caller: Annotated[Caller, Depends(caller)]) -> Principal:
    if not caller.who.admin or ADMIN not in caller.scopes:
        raise NotPermitted("only an administrator may do this")
    return caller.who


def _scraper(caller: Annotated[Caller, Depends(caller)]) -> Principal:
    if not caller.who.admin or caller.scopes.isdisjoint({ADMIN, METRICS}):
        raise NotPermitted(f"only an administrator, or a key of one with {METRICS!r}, may do this")
    return caller.who


def _owner(caller: Annotated[Caller, Depends(caller)]) -> Principal:
    if not caller.scopes >= WHOLE:
        raise NotPermitted("this API key may not change accounts; sign in")
    return caller.who


Reader = Annotated[Principal, Depends(_holding(Right.READ))]
Writer = Annotated[Principal, Depends(_holding(Right.WRITE))]
Manager = Annotated[Principal, Depends(_holding(Right.MANAGE))]
Admin = Annotated[Principal, Depends(_admin)]
Scraper = Annotated[Principal, Depends(_scraper)]
Owner = Annotated[Principal, Depends(_owner)]  # of one's own password and keys
