"""`llmspell run`: a script outside Jupyter, its model's text streaming to the terminal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, Interrupted, LoadError, SpellError

if TYPE_CHECKING:
    from ..engines._registry import EngineRegistry
    from ..session import ExecutionResult, Session
    from ..settings import Settings
    from ..spells.script_file import Script
    from ._terminal import Terminal

SCRIPT_FAILED = 1
RECORD_LOST = 74
"""EX_IOERR of sysexits.h: the script did well, and what should be kept of it is not there."""
INTERRUPTED = 130
"""128 + SIGINT, what shells report for a program stopped by Ctrl-C."""
READER_GONE = 141
"""128 + SIGPIPE, what other programs end with when `| head` has seen enough."""


@click.command
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("-p", "--param", "pairs", multiple=True, metavar="KEY=VALUE", help="A parameter: params.KEY in the script. JSON, else text.")
@click.option("--json", "as_json", is_flag=True, help="Print the script's value as JSON, on the last line of stdout.")
@click.option(
    "--module",
    "modules",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file that the script may require, by its name without the ending.",
)
@click.option("--engine", metavar="NAME", help="The script's language, where the file's ending does not tell.")
@click.option("--model", metavar="NAME", help="The model that calls use unless they name one.")
@click.option("--record", metavar="FILE", help="Write calls and answers to a cassette, NAME.cassette.jsonl.")
@click.option("--replay", metavar="FILE", help="Answer calls from a cassette: no network, no key, no cost.")
@click.option("--journal", type=click.Path(path_type=Path), metavar="FILE", help="Keep what the calls were, for `llmspell trace`.")
@click.option("--allow", multiple=True, metavar="PATTERN", help="Allow nothing but this, such as `llm.*`, as far as the settings do.")
@click.option("--deny", multiple=True, metavar="PATTERN", help="Deny this too.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="A setting, as `llmspell config` lists them.")
def command(
    file: Path,
    pairs: tuple[str, ...],
    as_json: bool,
    modules: tuple[Path, ...],
    engine: str | None,
    model: str | None,
    record: str | None,
    replay: str | None,
    journal: Path | None,
    allow: tuple[str, ...],
    deny: tuple[str, ...],
    changes: tuple[str, ...],
) -> None:
    """Run a script file and print its value; `-` is standard input.

    The value is what a Lua script returns at its top level, or a JavaScript file's last expression.
    """
    import asyncio

    from ..engines._registry import discover
    from ..spells.script_file import parameters
    from ._terminal import Terminal

    try:
        engines = discover()
        settings = _settings(engines, model, changes, record, replay)
        script, params = _load(file, engine, engines, settings), parameters(pairs)
    except (ConfigError, LoadError) as error:
        raise click.UsageError(error.message) from error
    engines.check(script.engine)
    terminal = Terminal(sys.stdout, sys.stderr, model_to_err=as_json)
    sessions: list[Session] = []
    try:
        result = asyncio.run(_run(script, params, modules, settings, terminal, sessions, (allow, deny), journal))
    except (ConfigError, LoadError) as error:  # of a module's file, say
        raise click.UsageError(error.message) from error
    terminal.finish()
    if terminal.reader_gone:
        sys.exit(READER_GONE)
    if result.error is not None:
        # the session's own texts, which hold no secret
        sys.exit(_report(result.error, sessions[0].sources, terminal, engines.titles()))
    _print_value(result.values, as_json, terminal, engines.get(script.engine).null)
    if sessions[0].lost_records:
        sys.exit(RECORD_LOST)


def _settings(engines: EngineRegistry, model: str | None, changes: Sequence[str], record: str | None, replay: str | None) -> Settings:
    from ..configuration.rules import Entry, entry_of
    from ..settings import Origin
    from ..spells.running import checked_settings

    more = [entry_of(pair, Origin("--set")) for pair in changes]
    if model is not None:
        more.append(Entry("model", model, Origin("--model")))
    if record is not None and replay is not None:
        raise ConfigError("--record and --replay exclude each other; for both at once: --set journal=auto --set cassette=FILE")
    for mode, file in (("record", record), ("replay", replay)):
        if file is not None:
            more += [Entry("journal", mode, Origin(f"--{mode}")), Entry("cassette", file, Origin(f"--{mode}"))]
    return checked_settings(engines, more)


def _load(file: Path, engine: str | None, engines: EngineRegistry, settings: Settings) -> Script:
    from ..spells.script_file import load, load_from

    if str(file) == "-":
        return load_from(sys.stdin.buffer, engine, engines, settings.engine)
    return load(file, engine, engines, settings.engine)


async def _run(
    script: Script,
    params: dict[str, Any],
    modules: Sequence[Path],
    settings: Settings,
    terminal: Terminal,
    sessions: list[Session],
    narrowing: tuple[Sequence[str], Sequence[str]],
    journal: Path | None,
) -> ExecutionResult:
    """`sessions` gets the one that is opened; `narrowing` are patterns to allow and to deny."""
    from asyncio import get_running_loop

    from ..spells.running import run_async
    from ..spells.terminal_approver import TerminalApprover
    from ._model_text import ModelText

    def tell(_: object, failure: Mapping[str, Any]) -> None:
        """What fails where no script waits for it: asyncio's own way would show our frames, and whatever secret the text holds."""
        text = _text_of(failure)
        terminal.note(sessions[0].redactor.redact(text) if sessions else text)

    get_running_loop().set_exception_handler(tell)
    with _ctrl_c() as stops:

        def opened(session: Session) -> None:
            session.recorder.listen(ModelText(terminal))
            terminal.on_reader_gone = session.interrupt
            stops(session.interrupt)
            if journal is not None:
                session.keep_journal(journal)
            if any(narrowing):
                session.narrow("main", script.engine, allow=narrowing[0], deny=narrowing[1])
            sessions.append(session)

        approver = TerminalApprover(terminal.alone)
        return await run_async(script, params=params, modules=modules, settings=settings, sink=terminal, on_open=opened, approver=approver)


@contextmanager
def _ctrl_c() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Gives a function that says what the first Ctrl-C calls; the second ends this process, and its workers die with it.

    A handler of the event loop would wait while the loop is busy (an import of seconds), and so would a second Ctrl-C.
    """
    from asyncio import get_running_loop

    loop, before = get_running_loop(), signal.getsignal(signal.SIGINT)

    def stops(interrupt: Callable[[], None]) -> None:
        def stop(_signum: int, _frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            loop.call_soon_threadsafe(interrupt)

        signal.signal(signal.SIGINT, stop)

    try:
        yield stops
    finally:
        signal.signal(signal.SIGINT, before)


def _text_of(failure: Mapping[str, Any]) -> str:
    """Of what an event loop's handler is told: the error with it, where the message does not quote it."""
    message, error = str(failure["message"]), failure.get("exception")
    return message if error is None or str(error) in message else f"{message}: {type(error).__name__}: {error}"


def _report(error: SpellError, sources: Mapping[str, str], terminal: Terminal, titles: Mapping[str, str]) -> int:
    from ..render.errors import traceback_lines

    if isinstance(error, Interrupted):
        terminal.note("stopped")
        return INTERRUPTED
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    terminal.error(traceback_lines(error, sources=sources, colour=colour, titles=titles))
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
