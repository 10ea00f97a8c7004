"""`llmspell.states`: the list of script states, and the way to one of them from Python: `await llmspell.states["lua"].get("x")`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from ..errors import ConfigError
from ..values import Value

T = TypeVar("T")


class Reach(Protocol):
    """What a notebook does for a state handle."""

    async def get(self, name: str, *, engine: str, state: str, as_type: Any = Any) -> Any: ...

    async def set(self, name: str, value: Value, *, engine: str, state: str) -> None: ...

    async def call(self, name: str, *args: Value, engine: str, state: str) -> Any: ...

    def home_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the session lives in."""


class States(list[tuple[str, str, str]]):
    """(state, engine, phase) of every state there is; `states["lua"]` reaches the main state of a language, `states["lua", "b"]` another.

    A state that is not there yet is made when it is first used.  `find` raises ConfigError for an engine that is not known.
    """

    def __init__(self, there: list[tuple[str, str, str]], find: Callable[[str, str], ScriptStateHandle]) -> None:
        super().__init__(there)
        self._find = find

    def __getitem__(self, key: Any) -> Any:
        match key:
            case str(engine):
                return self._find(engine, "main")
            case (str(engine), str(state)):
                return self._find(engine, state)
        return super().__getitem__(key)


class ScriptStateHandle:
    """One script state, seen from Python.  Raises SpellError where the script's own errors reach Python."""

    def __init__(self, notebook: Reach, engine: str, state: str) -> None:
        self._notebook = notebook
        self.engine = engine
        self.state = state

    async def get(self, name: str, *, as_type: Any = Any) -> Any:
        """The value of a global; with `as_type` (a class, `list[Row]`, `pandas.DataFrame`) made into that type."""
        return await self._notebook.get(name, engine=self.engine, state=self.state, as_type=as_type)

    async def set(self, name: str, value: Value) -> None:
        """Sets a global."""
        await self._notebook.set(name, value, engine=self.engine, state=self.state)

    async def call(self, name: str, *args: Value) -> Any:
        """Calls a global function (`words.count` for one in a table), as a cell of its own; its result, a tuple of several Lua results."""
        return await self._notebook.call(name, *args, engine=self.engine, state=self.state)

    @property
    def sync(self) -> WaitingHandle:
        """The same without `await`: for another thread, and where no event loop runs (IPython in a terminal)."""
        return WaitingHandle(self, self._notebook)

    def __repr__(self) -> str:
        return f"<the {self.engine} state '{self.state}'>"


class WaitingHandle:
    """`get`, `set` and `call` of a state, waited for.

    Raises ConfigError on the thread of a running event loop: the answer would have to come through the very loop that waits for it.
    """

    def __init__(self, handle: ScriptStateHandle, notebook: Reach) -> None:
        self._handle = handle
        self._notebook = notebook

    def get(self, name: str, *, as_type: Any = Any) -> Any:
        """The value of a global; with `as_type` made into that type."""
        return self._wait("get", lambda: self._handle.get(name, as_type=as_type))

    def set(self, name: str, value: Value) -> None:
        """Sets a global."""
        self._wait("set", lambda: self._handle.set(name, value))

    def call(self, name: str, *args: Value) -> Any:
        """Calls a global function."""
        return self._wait("call", lambda: self._handle.call(name, *args))

    def _wait(self, what: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            handle = self._handle
            raise ConfigError(
                f"an event loop runs in this thread, so it cannot wait for the script; write: "
                f'await llmspell.states["{handle.engine}", "{handle.state}"].{what}(...)'
            )
        loop = self._notebook.home_loop()
        if not loop.is_running():
            return loop.run_until_complete(work())
        future = asyncio.run_coroutine_threadsafe(work(), loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # who waited was interrupted: the script must not go on for nobody
            raise
