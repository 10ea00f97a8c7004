"""The bridges of a session: which there are, opening them in the order of their needs, closing them in reverse, adding and removing.

Rules
- A bridge is opened by its first call, after those it needs; each has `bridge_open_s` for it.  One that fails is named in the error, the others
  work, and the next call tries again.
- A bridge that is removed while calls run: they are cancelled, and end with an error that says so.  Nothing new can reach it.
- A bridge that neither opens nor closes in time is left alone and reported; nobody waits for it longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from ..bridges._bridge import Bridge
from ..bridges._needs import unmet
from ..bridges._outlines import Outline, whole_catalogue
from ..bridges._registry import Declarations, Known, Registry
from ..errors import BridgeError, ConfigError, ScriptError, SpellError, nearest
from ..policy.files import FilePolicy
from ..policy.limits import Limits
from ..policy.network import NetworkPolicy
from ..services.modules import ModuleLibrary
from ..services.secrets import Secrets
from ..services.tools.library import ToolLibrary
from .faults import contained, report
from .interceptors import Interceptors
from .model_records import ModelRecords

T = TypeVar("T")


class Surroundings(msgspec.Struct):
    """What every bridge sees of its session; the policies are the ones that hold now."""

    modules: ModuleLibrary
    folder: Path
    network: NetworkPolicy
    files: FilePolicy
    secrets: Secrets
    records: ModelRecords
    tools: ToolLibrary
    languages: Mapping[str, Sequence[str]]
    interceptors: Interceptors


class BridgeSet:
    """`declarations` and `failed` (why a bridge cannot be used) stay the same objects when bridges come and go."""

    def __init__(
        self, found: Registry, given: Sequence[Bridge], limits: Limits, settings: Mapping[str, Any], surroundings: Surroundings
    ) -> None:
        self._limits = limits
        self._settings = MappingProxyType(dict(settings))
        self.surroundings = surroundings
        self._known: dict[str, Known] = dict(sorted({**found.bridges, **{bridge.name: Known.of(type(bridge)) for bridge in given}}.items()))
        self._given = {bridge.name: bridge for bridge in given}
        self._opening: dict[str, asyncio.Task[Bridge]] = {}
        self._opened: dict[str, Bridge] = {}
        """In the order in which they were opened."""
        self._calls: dict[str, set[_Call]] = {}
        self._told: set[str] = set()
        self.failed: dict[str, str] = dict(found.failed)
        self.declarations = Declarations(self._known, self.failed)
        for name, fault in unmet(self._needs()).items():
            if name in self._given:
                raise ConfigError(f"the bridge '{name}': {fault}")
            self._drop(name)
            self.failed[name] = fault

    def catalogue(self) -> dict[str, Any]:
        """What a new script state is told."""
        return whole_catalogue(known.outline for known in self._known.values())

    def configure(self, limits: Limits, settings: Mapping[str, Any]) -> None:
        """Other settings from now on, for the open bridges too; one that does not take them is reported."""
        self._limits, self._settings = limits, MappingProxyType(dict(settings))
        for name, bridge in tuple(self._opened.items()):
            try:
                bridge.configure(self._settings)
            except Exception as error:
                report(f"the bridge '{name}' failed to take the new settings", error)

    async def get(self, name: str) -> Bridge:
        """The bridge, open.  Raises BridgeError or ConfigError naming the one that could not be opened."""
        task = self._opening.get(name)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            if name not in self._known:
                raise ScriptError(f"there is no bridge '{name}'{nearest(name, sorted(self._known))}", code="unknown")
            task = self._opening[name] = asyncio.create_task(self._open(name), name=f"open {name}")
        return await asyncio.shield(task)

    async def call(self, name: str, call: Awaitable[T]) -> T:
        """Awaits one call of a bridge; where the bridge is removed meanwhile, it is cancelled and BridgeError says why."""
        here = _Call(asyncio.current_task())
        calls = self._calls.setdefault(name, set())
        calls.add(here)
        try:
            return await call
        except asyncio.CancelledError:
            if here.was_removed():
                raise BridgeError(f"the bridge '{name}' was removed while this call was running", code="bridge_removed") from None
            raise
        finally:
            here.was_removed()  # also one that made an answer or another error of its cancellation is not cancelled any more
            calls.discard(here)
            if here.ended is not None:
                here.ended.set()

    def add(self, bridge: Bridge | type[Bridge], *, replace: bool = False) -> Outline:
        """Makes a bridge known.  Raises ConfigError for a name that is taken (unless it is replaced) and for needs that cannot be met."""
        kind = bridge if isinstance(bridge, type) else type(bridge)
        known = Known.of(kind)
        name = known.name
        if name in self._known and not replace:
            raise ConfigError(f"there is a bridge '{name}' already; remove it first")
        faults = unmet({**self._needs(), name: known.outline.needs})
        if name in faults:
            raise ConfigError(f"the bridge '{name}': {faults[name]}")
        self._drop(name)
        self.failed.pop(name, None)
        self._known[name] = known
        if isinstance(bridge, Bridge):
            self._given[name] = bridge
        return known.outline

    async def remove(self, name: str, release: Callable[[str], Awaitable[None]]) -> None:
        """Takes a bridge away, ends its calls, releases its resources and closes it.

        Raises ConfigError where there is none, or another one needs it.
        """
        if name not in self._known:
            raise ConfigError(f"there is no bridge '{name}'{nearest(name, sorted(self._known))}")
        needing = sorted(other for other, needs in self._needs().items() if name in needs)
        if needing:
            raise ConfigError(
                f"the bridge '{name}' is needed by {', '.join(needing)}; remove {'it' if len(needing) == 1 else 'them'} first"
            )
        opened, task = self._opened.get(name), self._opening.get(name)
        self._drop(name)
        if task is not None:
            task.cancel()
        await self._end_calls(name)
        await release(name)
        if opened is not None:
            await self._close(name, opened)

    async def close(self) -> None:
        """Closes what is open, in reverse order; what is still opening is given up."""
        for task in self._opening.values():
            task.cancel()
        self._opening.clear()
        while self._opened:
            name, bridge = self._opened.popitem()
            await self._close(name, bridge)

    def first_use(self, label: str) -> bool:
        """Is this the session's first use of a method?  Asked of deprecated ones alone."""
        if label in self._told:
            return False
        self._told.add(label)
        return True

    def _needs(self) -> dict[str, Sequence[str]]:
        return {name: known.outline.needs for name, known in self._known.items()}

    def _drop(self, name: str) -> None:
        for by_name in (self._known, self._given, self._opening, self._opened):
            by_name.pop(name, None)

    async def _end_calls(self, name: str) -> None:
        calls = self._calls.pop(name, set())
        own = asyncio.current_task()
        ends = []
        for call in tuple(calls):
            if call.task is None or call.task is own:
                continue  # a method of the bridge itself asked for its removal
            call.removed, call.ended = True, asyncio.Event()
            call.task.cancel()
            ends.append(asyncio.create_task(call.ended.wait()))
        if not ends:
            return
        _, late = await asyncio.wait(ends, timeout=self._limits.bridge_close_s)
        for end in late:
            end.cancel()
        if late:
            report(
                f"{len(late)} calls of the removed bridge '{name}' go on",
                TimeoutError(f"not ended within {self._limits.bridge_close_s:g} s"),
            )

    async def _open(self, name: str) -> Bridge:
        declared = self.declarations.get(name)
        if declared is None:
            raise ConfigError(f"the bridge '{name}' could not be loaded: {self.failed[name]}")
        for need in declared.needs:
            try:
                await self.get(need)
            except SpellError as error:
                raise _named(f"the bridge '{name}' needs another one", error) from error
        bridge = self._given.get(name) or self._make(self._known[name].kind)
        settings = self._settings
        view = SessionView(self, name, declared.needs, settings)
        limit = self._limits.bridge_open_s
        try:
            bridge.configure(settings)
            await _within(contained(bridge.open(view), f"{name}.open"), limit)
            if settings is not self._settings:  # changed in the meantime
                bridge.configure(self._settings)
        except TimeoutError as error:
            raise BridgeError(f"the bridge '{name}' did not open within {limit:g} s", retryable=True) from error
        except Exception as error:
            raise _named(f"the bridge '{name}' could not be opened", error) from error
        self._opened[name] = bridge
        return bridge

    async def _close(self, name: str, bridge: Bridge) -> None:
        try:
            await _within(contained(bridge.close(), f"{name}.close"), self._limits.bridge_close_s)
        except Exception as error:
            report(f"the bridge '{name}' failed to close", error)

    @staticmethod
    def _make(kind: type[Bridge]) -> Bridge:
        try:
            return kind()
        except SpellError:
            raise
        except Exception as error:
            raise ConfigError(f"the bridge '{kind.name}' cannot start: {type(error).__name__}: {error}") from error


class SessionView:
    """bridges._bridge.BridgeSession for one bridge."""

    def __init__(self, bridges: BridgeSet, name: str, needs: Sequence[str], settings: Mapping[str, Any]) -> None:
        self._bridges = bridges
        self._name = name
        self._needs = needs
        self.settings = settings

    @property
    def modules(self) -> ModuleLibrary:
        return self._bridges.surroundings.modules

    @property
    def tools(self) -> ToolLibrary:
        return self._bridges.surroundings.tools

    @property
    def languages(self) -> Mapping[str, Sequence[str]]:
        return self._bridges.surroundings.languages

    @property
    def folder(self) -> Path:
        return self._bridges.surroundings.folder

    @property
    def secrets(self) -> Secrets:
        return self._bridges.surroundings.secrets

    @property
    def network(self) -> NetworkPolicy:
        return self._bridges.surroundings.network

    @property
    def files(self) -> FilePolicy:
        return self._bridges.surroundings.files

    @property
    def interceptors(self) -> Interceptors:
        return self._bridges.surroundings.interceptors

    async def performance(self, name: str, since_s: float) -> dict[str, Any]:
        return await self._bridges.surroundings.records.performance(name, since_s)

    async def bridge(self, name: str) -> Bridge:
        if name not in self._needs:
            raise ConfigError(f"the bridge '{self._name}' asks for '{name}', which its needs do not name")
        return await self._bridges.get(name)


class _Call:
    """A call in flight."""

    def __init__(self, task: asyncio.Task[Any] | None) -> None:
        self.task = task
        self.removed = False
        self.ended: asyncio.Event | None = None

    def was_removed(self) -> bool:
        """Was it cancelled because its bridge was removed, and by nobody else?  Then it is cancelled no longer."""
        if not self.removed or self.task is None:
            return False
        self.removed = False
        return self.task.uncancel() == 0


def _named(what: str, error: Exception) -> SpellError:
    """The error with its bridge's name; what a reader can do about it stays the same."""
    match error:
        case ConfigError():
            return ConfigError(f"{what}: {error.message}")
        case SpellError():
            return BridgeError(f"{what}: {error.message}", retryable=error.retryable, code=error.code)
    return BridgeError(f"{what}: {type(error).__name__}: {error}", retryable=True)


async def _within(work: Coroutine[Any, Any, T], limit_s: float) -> T:
    """Raises TimeoutError after that time even where the work resists its cancellation, which `asyncio.timeout` would wait for."""
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        task.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody waits for what comes of it
        raise TimeoutError(f"not within {limit_s:g} s")
    return task.result()
