"""Open a data folder for one command, and say as whom the command acts."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rag.domain import LOCAL_USER, Principal
from rag.errors import NotFound, NotPermitted

if TYPE_CHECKING:
    from rag.bootstrap import Attest
    from rag.settings import Settings


def settings_for(asked: argparse.Namespace) -> Settings:
    """Raises BadSettings."""
    from rag.settings import load_settings

    return load_settings(asked.data)


@contextmanager
def opened(asked: argparse.Namespace, create: bool = False) -> Iterator[Attest]:
    """The parts over the data folder, closed at the end; with `create` a new folder is made.
    Raises NotFound when there is no such folder."""
    settings = settings_for(asked)
    if not create and not settings.data.is_dir():
        raise NotFound(
            f"there is no data folder {settings.data}; name it with --data, or make one with "
            "`attest ingest` or `attest up`"
        )
    from rag.bootstrap import open_attest

    attest = open_attest(settings)
    try:
        yield attest
    finally:
        attest.close()


def acting(asked: argparse.Namespace, attest: Attest) -> Principal:
    """The user of --as, else the local one: who can write the data folder may do all. Raises
    NotFound for an unknown user, NotPermitted for a disabled one."""
    if asked.user is None:
        return LOCAL_USER
    with attest.store() as work:
        account = work.accounts.get(asked.user)
    if account.disabled:
        raise NotPermitted(f"the user {asked.user!r} is disabled")
    return Principal(account.user, account.groups, account.admin)
