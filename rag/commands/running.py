"""`attest up`, `attest engine` and `attest doctor`."""

from __future__ import annotations

import argparse
from typing import Any

from rag.commands.opening import settings_for
from rag.commands.terminal import Terminal
from rag.wire import Json


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    starting = commands.add_parser(
        "up", parents=[common], help="start API, worker, scheduler and pages on this machine"
    )
    starting.add_argument("--api-port", type=int, metavar="PORT", help="0: any free one")
    starting.add_argument("--ui-port", type=int, metavar="PORT", help="0: any free one")
    starting.add_argument("--without-ui", action="store_true")
    starting.set_defaults(run=up)

    serving = commands.add_parser(
        "engine", parents=[common], help="run the model alone, for an API elsewhere (engine_url)"
    )
    serving.add_argument("--port", type=int, metavar="PORT", help="0: any free one")
    serving.set_defaults(run=engine)

    checking = commands.add_parser("doctor", parents=[common], help="check that all is well")
    checking.add_argument("--answers", type=int, default=200, help="recent answers to check")
    checking.set_defaults(run=doctor)


def up(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Until Ctrl-C (exit 0), or until a part dies again and again (exit 1)."""
    from rag.settings import load_settings
    from rag.up import Up

    ports = {"api_port": asked.api_port, "ui_port": asked.ui_port}
    given = {name: port for name, port in ports.items() if port is not None}
    settings = load_settings(settings_for(asked).data, **given)
    with Up(settings, terminal.say, with_ui=not asked.without_ui) as running:
        addresses: dict[str, Json] = {**running.addresses}
        lines = [f"{name:<9} {address}" for name, address in running.addresses.items()]
        stop = "Ctrl-C stops it. Logs: " + str(settings.data / "logs")
        terminal.result(addresses, "\n".join(["Attest is up.", *lines, stop]))
        running.watch()
    return 0


def engine(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Until Ctrl-C (exit 0)."""
    from rag.engine_api.serve import serve
    from rag.up import address_of, free_port

    settings = settings_for(asked)
    wanted = settings.engine_port if asked.port is None else asked.port
    port = free_port(settings.engine_host, wanted, "the engine", "engine_port")
    address = f"http://{address_of(settings.engine_host)}:{port}"
    terminal.result({"engine": address}, f"The engine serves {settings.model} at {address}.")
    serve(settings, port)
    return 0


def doctor(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Exit 1 when something is broken."""
    from rag.commands.diagnosis import diagnose
    from rag.commands.opening import opened

    with opened(asked) as attest:
        findings = diagnose(attest, asked.answers, terminal.progress)
    broken = [finding for finding in findings if finding.state == "broken"]
    document: Json = {
        "ok": not broken,
        "checks": [
            {"check": each.check, "state": each.state, "detail": each.detail} for each in findings
        ],
    }
    lines = [f"{each.state:<7} {each.check}: {each.detail}" for each in findings]
    terminal.result(document, "\n".join(lines))
    return 1 if broken else 0
