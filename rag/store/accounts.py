"""Local accounts, their groups and API keys; only hashes of secrets are kept."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rag.errors import Conflict, NotFound, NotSignedIn
from rag.ports import Account
from rag.store.checked import checked_groups, checked_name
from rag.store.tables import KeyRow, MembershipRow, UserRow
from rag.store.transaction import Transaction


class SqlAccounts:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def create(self, user: str, password_hash: str, groups: frozenset[str], admin: bool) -> Account:
        """Raises BadName, Conflict when the user exists."""
        checked_name(user, "a user")
        session = self._tx.write()
        if session.scalar(select(UserRow.user).where(UserRow.user == user)):
            raise Conflict(f"there is already a user {user!r}")
        session.add(
            UserRow(
                user=user,
                password_hash=password_hash,
                admin=admin,
                disabled=False,
                created=self._tx.now(),
            )
        )
        session.flush()
        _join(session, user, groups)
        return self.get(user)

    def get(self, user: str) -> Account:
        """Raises NotFound."""
        session = self._tx.read()
        return _noun(session, _row(session, user))

    def all(self) -> list[Account]:
        session = self._tx.read()
        return [
            _noun(session, row) for row in session.scalars(select(UserRow).order_by(UserRow.user))
        ]

    def set_groups(self, user: str, groups: frozenset[str]) -> None:
        session = self._tx.write()
        _row(session, user)
        session.execute(delete(MembershipRow).where(MembershipRow.user == user))
        _join(session, user, groups)

    def set_password(self, user: str, password_hash: str) -> None:
        session = self._tx.write()
        _row(session, user).password_hash = password_hash
        session.flush()

    def disable(self, user: str) -> None:
        """Its keys stop working at once."""
        session = self._tx.write()
        _row(session, user).disabled = True
        session.flush()

    def add_key(self, user: str, label: str, key_hash: str, scopes: frozenset[str]) -> str:
        session = self._tx.write()
        _row(session, user)
        row = KeyRow(
            id=uuid4().hex,
            user=user,
            label=label,
            key_hash=key_hash,
            scopes=sorted(scopes),
            created=self._tx.now(),
            revoked=None,
        )
        session.add(row)
        session.flush()
        return row.id

    def by_key(self, key_hash: str) -> tuple[Account, frozenset[str]]:
        session = self._tx.read()
        query = select(KeyRow).where(KeyRow.key_hash == key_hash, KeyRow.revoked.is_(None))
        key = session.scalar(query)
        if key is None:
            raise NotSignedIn("this API key is not known or was revoked")
        account = self.get(key.user)
        if account.disabled:
            raise NotSignedIn(f"the account {account.user!r} of this API key is disabled")
        return account, frozenset(key.scopes)

    def revoke_key(self, id: str) -> None:
        """Raises NotFound; a key that was revoked already stays so."""
        session = self._tx.write()
        key = session.scalar(select(KeyRow).where(KeyRow.id == id))
        if key is None:
            raise NotFound(f"there is no API key {id!r:.100}")
        key.revoked = key.revoked or self._tx.now()
        session.flush()


def _row(session: Session, user: str) -> UserRow:
    row = session.scalar(select(UserRow).where(UserRow.user == user))
    if row is None:
        raise NotFound(f"there is no user {user!r:.100}")
    return row


def _join(session: Session, user: str, groups: frozenset[str]) -> None:
    session.add_all(MembershipRow(user=user, group=group) for group in checked_groups(groups))
    session.flush()


def _noun(session: Session, row: UserRow) -> Account:
    groups = session.scalars(select(MembershipRow.group).where(MembershipRow.user == row.user))
    return Account(row.user, row.password_hash, frozenset(groups), row.admin, row.disabled)
