"""Session tokens and API keys.

A session token is `<payload>.<mac>`: base64url JSON of user, expiry and a fingerprint of the
user's password hash, under HMAC-SHA256. Changing a password or disabling a user therefore ends
its sessions. An API key is 32 random bytes; only its SHA-256 is stored.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rag.errors import NotSignedIn
from rag.ports import Account
from rag.settings import Settings
from rag.views import Session

LASTS = timedelta(hours=12)
KEY_PREFIX = "attest_"


@dataclass(frozen=True, slots=True)
class Sessions:
    secret: bytes

    def start(self, account: Account, now: datetime | None = None) -> Session:
        expires = (now or datetime.now(UTC)) + LASTS
        payload = _encode(
            json.dumps(
                {
                    "user": account.user,
                    "expires": expires.timestamp(),
                    "mark": _fingerprint(account),
                }
            ).encode()
        )
        return Session(account.user, f"{payload}.{self._mac(payload)}", expires)

    def user(self, token: str, now: datetime | None = None) -> tuple[str, str]:
        """The user a valid token names, and the mark its account must still have. Raises
        NotSignedIn for a forged, damaged or expired token."""
        payload, _, mac = token.partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(payload).encode()):
            raise NotSignedIn("this session token is not valid; sign in again")
        try:
            held = json.loads(_decode(payload))
            user, expires, mark = str(held["user"]), float(held["expires"]), str(held["mark"])
        except (ValueError, KeyError, TypeError, binascii.Error) as exc:
            raise NotSignedIn("this session token is not valid; sign in again") from exc
        if (now or datetime.now(UTC)).timestamp() >= expires:
            raise NotSignedIn("this session has ended; sign in again")
        return user, mark

    def _mac(self, payload: str) -> str:
        return _encode(hmac.new(self.secret, payload.encode(), hashlib.sha256).digest())


def still_marked(account: Account, mark: str) -> bool:
    """Whether the account still has the password the session was started with."""
    return not account.disabled and hmac.compare_digest(_fingerprint(account), mark)


def new_key() -> tuple[str, str]:
    """A fresh API key and its stored hash."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return key, key_hash(key)


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def open_sessions(settings: Settings) -> Sessions:
    """With the secret of the settings, else with one made once and kept in the data folder,
    readable by its owner only."""
    if settings.session_secret is not None:
        return Sessions(settings.session_secret.get_secret_value().encode())
    return Sessions(_kept_secret(settings.data / "session.secret"))


def _kept_secret(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")  # one for each thread
    if not path.exists():
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(draft, path)  # the first process to get here wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()


def _fingerprint(account: Account) -> str:
    return hashlib.sha256(account.password_hash.encode()).hexdigest()[:16]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
