"""`run` and `run_async`: a script run from Python, with the settings, limits and journal that a cell has."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ..bridges._bridge import Bridge
from ..configuration.rules import Entry, apply, wrong
from ..configuration.sources import names_of, read_settings
from ..engines._registry import EngineRegistry, discover
from ..errors import BridgeError, ConfigError
from ..observe.observation import Observation
from ..policy.observe import ObservePolicy
from ..policy.tables import table_of
from ..session import Approver, ExecutionResult, Session, Sink
from ..session.taping import MODES, Mode
from ..settings import CASSETTE_ENDING, Origin, Settings
from .script_file import Script, engine_of, load

CHUNK = "script"
"""The name that errors show for code that has no file."""
_FILE_NAME = re.compile(r"[\w.~/\\ -]*\.[A-Za-z]{2,6}")


def run(
    code_or_path: str | os.PathLike[str] | Script,
    *,
    engine: str | None = None,
    state: str = "main",
    inputs: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = (),
    params: Mapping[str, Any] | None = None,
    modules: Sequence[str | os.PathLike[str]] = (),
    model: str | None = None,
    settings: Settings | None = None,
    bridges: Sequence[Bridge] = (),
    sink: Sink | None = None,
    timeout_s: float | None = None,
    on_open: Callable[[Session], object] | None = None,
    approver: Approver | None = None,
) -> ExecutionResult:
    """`run_async` where no event loop runs: the same arguments, result and errors."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError("run() cannot wait while an event loop runs, as in a notebook; write: result = await run_async(...)")
    return asyncio.run(
        run_async(
            code_or_path,
            engine=engine,
            state=state,
            inputs=inputs,
            outputs=outputs,
            params=params,
            modules=modules,
            model=model,
            settings=settings,
            bridges=bridges,
            sink=sink,
            timeout_s=timeout_s,
            on_open=on_open,
            approver=approver,
        )
    )


async def run_async(
    code_or_path: str | os.PathLike[str] | Script,
    *,
    engine: str | None = None,
    state: str = "main",
    inputs: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = (),
    params: Mapping[str, Any] | None = None,
    modules: Sequence[str | os.PathLike[str]] = (),
    model: str | None = None,
    settings: Settings | None = None,
    bridges: Sequence[Bridge] = (),
    sink: Sink | None = None,
    timeout_s: float | None = None,
    on_open: Callable[[Session], object] | None = None,
    approver: Approver | None = None,
) -> ExecutionResult:
    """Runs one script in a session of its own, which ends with it.

    - code_or_path: a text is the script itself; a `pathlib.Path` is a file that holds it
    - engine: its language; for a file, its ending tells; else `engine` of the settings
    - inputs, outputs: globals set before the run, and read into `result.outputs` after it
    - params: the script's global `params`
    - modules: files that the script may `require`, each by its name without the ending
    - model: answers the calls that name none
    - settings: without them, what `llmspell run` would use here: the user's file, `llmspell.toml`, the environment
    - bridges: instances added to the installed ones
    - sink: gets what is printed as it comes; all of it is in `result.output` in any case
    - timeout_s: a limit of the whole time, lower than that of the settings
    - on_open: gets the session before the script starts, to listen to its journal or to keep its `interrupt`
    - approver: asks the user before calls that the policy wants asked (`async ask(request) -> bool`); without one they are denied

    What the script left in the background is waited for, and printed to `sink` alone.  What goes wrong in the script is `result.error`.
    Raises ConfigError for a wrong call or setting, LoadError for an unreadable file.
    """
    engines = discover()
    chosen = settings if settings is not None else checked_settings(engines)
    if model is not None:
        check_model(model)
        chosen = apply(chosen, [Entry("model", model, Origin("model="))], engines=names_of(engines))
    script = _script(code_or_path, engine, engines, chosen.engine)
    engines.check(script.engine)
    async with (
        _observation(chosen) as observation,
        Session(sink=sink, settings=chosen, bridges=bridges, engines=engines, approver=approver) as session,
    ):
        observation.start(session.recorder)
        if chosen.journal != "off":
            session.tape(_taping_mode(chosen), _cassette(chosen))
        for module in modules:
            add_module(session, Path(module), engines)
        if on_open is not None:
            on_open(session)
        result = await session.run(
            script.code,
            engine=script.engine,
            state=state,
            chunk=script.chunk,
            inputs={"params": dict(params or {}), **(inputs or {})},
            outputs=outputs,
            timeout_s=timeout_s,
        )
        await session.background_ended()
        return result


@asynccontextmanager
async def _observation(settings: Settings) -> AsyncIterator[Observation]:
    """Ends after the session, whose last events it still tells."""
    observation = Observation(table_of(settings, ObservePolicy), os.environ)
    try:
        yield observation
    finally:
        if observation.is_on:
            await asyncio.to_thread(observation.close)  # it may wait for a collector


def add_module(session: Session, file: Path, engines: EngineRegistry) -> None:
    """Registers a file as a module.  Raises ConfigError for an ending or a name that is none, LoadError for an unreadable file."""
    module = load(file, None, engines)
    session.add_module(file.name.partition(".")[0], module.code, module.engine)


def _taping_mode(settings: Settings) -> Mode:
    return next(mode for mode in MODES if mode == settings.journal)


def _cassette(settings: Settings) -> Path:
    if not settings.cassette:
        raise ConfigError(
            f"journal = '{settings.journal}' needs a file; set cassette too, for example notes{CASSETTE_ENDING}", key="cassette"
        )
    return Path(settings.cassette).expanduser()


def _script(code_or_path: str | os.PathLike[str] | Script, engine: str | None, engines: EngineRegistry, default: str) -> Script:
    if isinstance(code_or_path, Script):
        return code_or_path
    if not isinstance(code_or_path, str):
        return load(Path(code_or_path), engine, engines, default)
    if _FILE_NAME.fullmatch(code_or_path) and any(code_or_path.endswith(end) for known in engines for end in known.file_endings):
        raise ConfigError(f"'{code_or_path}' is the name of a file, and a text is taken as the script itself; pass Path('{code_or_path}')")
    return Script(code_or_path, engine_of(engine, engines, default), CHUNK)


def check_model(name: str) -> None:
    """Raises ConfigError with the nearest names where no model answers to `name`.  Asks nothing of anybody."""
    try:
        _check(name)
    except BridgeError as error:
        raise ConfigError(error.message, key="model") from error


def _check(model: str) -> None:
    from ..services.llm.service import LlmService  # not at the top: a notebook that sets no model starts without it

    LlmService(os.environ).check(model)


def check_model_of(settings: Settings) -> None:
    """The same for the model that the settings name; the error says who set it."""
    try:
        if settings.model:
            _check(settings.model)
    except BridgeError as error:
        raise wrong("model", settings.origin("model"), error.message) from error


def checked_settings(engines: EngineRegistry, more: Sequence[Entry] = ()) -> Settings:
    """What a session here begins with; `more` is the command line.  Raises ConfigError, also for a model that nobody has."""
    settings = read_settings(os.environ, Path.cwd(), engines, more)
    check_model_of(settings)
    return settings
