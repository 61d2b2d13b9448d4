"""Passwords: argon2id hashes, and rules for new ones."""

from __future__ import annotations

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from rag.errors import BadInput

SHORTEST, LONGEST = 10, 1024


@cache
def nobody() -> str:
    """A hash no password has: verified when the user is unknown, so that the time an answer takes
    does not tell which users exist."""
    return PasswordHasher().hash(secrets.token_hex(32))


def hash_password(password: str) -> str:
    """An argon2id hash with its own salt. Raises BadInput for one too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadInput(f"a password has {SHORTEST} to {LONGEST} characters")
    return PasswordHasher().hash(password)


def password_matches(password: str, stored: str) -> bool:
    """False for a wrong password and for a hash that cannot be read."""
    try:
        return PasswordHasher().verify(stored, password[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
