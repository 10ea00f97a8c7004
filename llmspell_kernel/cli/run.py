"""`llmspell run`: a script outside Jupyter, its model's text streaming to the terminal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ..errors import BridgeError, ConfigError, Interrupted, SpellError

if TYPE_CHECKING:
    from ..session import Outcome, Session
    from ..spells.script_file import Script
    from ._terminal import Terminal

SCRIPT_FAILED = 1
INTERRUPTED = 130
"""128 + SIGINT, what shells report for a program stopped by Ctrl-C."""
READER_GONE = 141
"""128 + SIGPIPE, what other programs end with when `| head` has seen enough."""


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-p", "--param", "pairs", multiple=True, metavar="KEY=VALUE", help="A parameter: params.KEY in the script. JSON, else text.")
@click.option("--json", "as_json", is_flag=True, help="Print the script's value as JSON, on the last line of stdout.")
@click.option("--engine", metavar="NAME", help="The script's language, where the file's ending does not tell.")
@click.option("--model", metavar="NAME", help="The model that calls use unless they name one.")
def command(file: Path, pairs: tuple[str, ...], as_json: bool, engine: str | None, model: str | None) -> None:
    """Run a script file and print its value.

    The value is what a Lua script returns at its top level, or a JavaScript file's last expression.
    """
    import asyncio

    from ..engines._registry import discover
    from ..spells.script_file import load, parameters
    from ._terminal import Terminal

    try:
        engines = discover()
        script, params = load(file, engine, engines), parameters(pairs)
    except ConfigError as error:
        raise click.UsageError(error.message) from error
    engines.check(script.engine)
    terminal = Terminal(sys.stdout, sys.stderr, model_to_err=as_json)
    outcome = asyncio.run(_run(script, params, model, terminal))
    terminal.finish()
    if terminal.reader_gone:
        sys.exit(READER_GONE)
    if outcome.error is not None:
        sys.exit(_report(outcome.error, script, terminal, engines.titles()))
    _print_value(outcome.values, as_json, terminal, engines.get(script.engine).null)


async def _run(script: Script, params: dict[str, Any], model: str | None, terminal: Terminal) -> Outcome:
    from ..session import Session
    from ..settings import from_environment
    from ._model_text import ModelText

    session = Session(sink=terminal, settings=from_environment(os.environ))
    try:
        if model is not None:
            await _choose_model(session, model)
        session.recorder.listen(ModelText(terminal))
        terminal.on_reader_gone = session.interrupt
        with _stop_on_ctrl_c(session):
            return await session.run(script.code, engine=script.engine, state="main", chunk=script.chunk, inputs={"params": params})
    finally:
        await session.close()


async def _choose_model(session: Session, name: str) -> None:
    try:
        await session.call("llm", "set_model", name)
    except BridgeError as error:
        raise click.BadParameter(error.message, param_hint="--model") from error


@contextmanager
def _stop_on_ctrl_c(session: Session) -> Iterator[None]:
    """The first Ctrl-C stops the script, the second ends this process; its workers die with it.

    A handler of the event loop would wait while the loop is busy (an import of seconds), and so would a second Ctrl-C.
    """
    from asyncio import get_running_loop

    loop = get_running_loop()

    def stop(_signum: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        loop.call_soon_threadsafe(session.interrupt)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _report(error: SpellError, script: Script, terminal: Terminal, titles: Mapping[str, str]) -> int:
    from ..render.errors import traceback_lines

    if isinstance(error, Interrupted):
        terminal.note("stopped")
        return INTERRUPTED
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    terminal.error(traceback_lines(error, sources={script.chunk: script.code}, colour=colour, titles=titles))
    return SCRIPT_FAILED


def _print_value(values: Sequence[Any], as_json: bool, terminal: Terminal, null: str) -> None:
    from ..render.values import bundle
    from ._json_value import json_line

    if as_json:
        terminal.write("stdout", json_line(values) + "\n")
        return
    # `return llm.chat(...)`: the value is what the reader has just watched arrive
    if len(values) == 1 and values[0] is not None and values[0] == terminal.last_model_text:
        return
    shown = bundle(values, null=null)
    if shown is not None:
        terminal.write("stdout", shown["text/plain"] + "\n")
