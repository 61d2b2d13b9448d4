"""`attest users add`, `attest users list`, `attest audit verify`."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from rag import changes
from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal
from rag.errors import BadInput, NotPermitted
from rag.wire import Json


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    users = commands.add_parser("users", parents=[common], help="accounts for sign-in")
    verbs = users.add_subparsers(dest="verb", required=True, metavar="VERB")
    adding = verbs.add_parser("add", parents=[common])
    adding.add_argument("name", metavar="USER")
    adding.add_argument("--group", action="append", default=[], metavar="GROUP")
    adding.add_argument("--admin", action="store_true")
    adding.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )
    adding.set_defaults(run=add_user)
    verbs.add_parser("list", parents=[common]).set_defaults(run=list_users)

    audit = commands.add_parser("audit", parents=[common], help="the log of who did what")
    checks = audit.add_subparsers(dest="verb", required=True, metavar="VERB")
    checks.add_parser("verify", parents=[common]).set_defaults(run=verify)


def add_user(asked: argparse.Namespace, terminal: Terminal) -> int:
    from rag.api.passwords import hash_password

    hashed = hash_password(_password(asked))
    with opened(asked, create=True) as attest:
        who = acting(asked, attest)
        account = changes.add_user(attest.store, who, asked.name, hashed, asked.group, asked.admin)
    groups = sorted(account.groups)
    shown: Json = {"user": account.user, "groups": [*groups], "admin": account.admin}
    terminal.result(shown, f"added {account.user} ({', '.join(groups) or 'no group'})")
    return 0


def _password(asked: argparse.Namespace) -> str:
    """Never an argument: those are shown to every process of the machine."""
    if asked.password_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("password: ")
    if getpass.getpass("again: ") != first:
        raise BadInput("the two passwords differ")
    return first


def list_users(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        if not acting(asked, attest).admin:
            raise NotPermitted("only an administrator may list users")
        with attest.store() as work:
            accounts = work.accounts.all()
    rows: list[Json] = [
        {
            "user": account.user,
            "groups": [*sorted(account.groups)],
            "admin": account.admin,
            "disabled": account.disabled,
        }
        for account in accounts
    ]
    lines = [f"{account.user}  {' '.join(sorted(account.groups))}" for account in accounts]
    terminal.result({"users": rows}, "\n".join(lines) or "no users")
    return 0


def verify(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Exit 1 when a link of the chain is broken."""
    with opened(asked) as attest, attest.store() as work:
        broken = work.audit.verify()
    held = broken is None
    text = "the audit log holds" if held else f"the audit log is broken at entry {broken}"
    terminal.result({"holds": held, "first_broken": broken}, text)
    return 0 if held else 1
