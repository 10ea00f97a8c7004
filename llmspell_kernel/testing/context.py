"""What a bridge sees, for its tests: a Context that records what it asks of the session, and a session that opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from llmspell_kernel import Bridge, Context
from llmspell_kernel.bridges._bridge import FreshState, Interceptor, StateLife
from llmspell_kernel.bridges._checking import converted
from llmspell_kernel.errors import BridgeError, DeniedError, LimitError
from llmspell_kernel.policy.decide import Level
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.policy.network import NetworkPolicy
from llmspell_kernel.redaction import Redactor, StreamRedactor
from llmspell_kernel.services.modules import ModuleLibrary
from llmspell_kernel.services.secrets import Secrets
from llmspell_kernel.services.tools.library import ToolLibrary
from llmspell_kernel.shown import Shown
from llmspell_kernel.values import Callback, Value


class FakeInterceptors:
    """Keeps what a bridge adds, by pattern, until it takes it away."""

    def __init__(self) -> None:
        self.added: list[tuple[str, Interceptor]] = []

    def add(self, ctx: Context, pattern: str, interceptor: Interceptor) -> Callable[[Context], None]:
        entry = (pattern, interceptor)
        self.added.append(entry)
        return lambda ctx: self.added.remove(entry)


class FakeBridgeSession:
    """Opens a bridge: `await bridge.open(FakeBridgeSession(bridges={"llm": other}))`."""

    def __init__(
        self,
        *,
        settings: Mapping[str, Any] | None = None,
        bridges: Mapping[str, Bridge] | None = None,
        folder: Path | None = None,
        network: NetworkPolicy | None = None,
        files: FilePolicy | None = None,
        secrets: Secrets | None = None,
        performance: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings: Mapping[str, Any] = dict(settings or {})
        self.modules = ModuleLibrary(1_000_000)
        self.tools = ToolLibrary()
        self.languages: Mapping[str, Sequence[str]] = {}
        self.folder = folder or Path.cwd()
        self.network = network or NetworkPolicy()
        self.files = files or FilePolicy()
        self.secrets = secrets or Secrets({}, {}, Redactor())
        self.interceptors = FakeInterceptors()
        self._bridges = dict(bridges or {})
        self._performance = dict(performance or {})
        self.asked_performance: list[tuple[str, float]] = []

    async def performance(self, name: str, since_s: float) -> dict[str, Any]:
        """What the test gave."""
        self.asked_performance.append((name, since_s))
        return self._performance

    async def bridge(self, name: str) -> Bridge:
        """The bridge given by that name; a KeyError is a test that forgot to give it."""
        return self._bridges[name]


class FakeReservation:
    """Grants what was asked; `ended` says how it ended."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.kept = False
        self.ended = ""

    def settle(self) -> None:
        self.ended = self.ended or "settled"

    def release(self) -> None:
        self.ended = self.ended or "released"

    def keep(self) -> None:
        self.kept = True

    def out_of_time(self) -> LimitError:
        return LimitError("the budget of model time is used up", limit="budgets.cell_seconds")


class FakeFunction:
    """A script's function that was kept: called with a FakeContext, it is what that one's `functions` say."""

    def __init__(self, callback: Callback, engine: str, state: str) -> None:
        self.callback = callback
        self.engine = engine
        self.state = state
        self.is_alive = True

    async def ready(self) -> None:
        pass

    async def __call__(self, ctx: Context, *args: Value, as_type: Any = Any) -> Any:
        return await ctx.invoke(self.callback, *args, as_type=as_type)


class FakeContext:
    """Records each call as `(name, details)` in `calls`, in order; `functions` plays the script's functions by callback id, `answers`
    other bridges by the method's full name.

    `refuse_reservation` is raised by `reserve`, `refuse_approval` by `approve`.
    """

    def __init__(
        self,
        *,
        call_id: int = 1,
        state: str = "main",
        cell: str = "cell[1]",
        engine: str = "",
        functions: Mapping[int, Callable[..., Value]] | None = None,
        answers: Mapping[str, Callable[..., Value]] | None = None,
        now_s: float = 0.0,
    ) -> None:
        self.now_s = now_s
        self.call_id = call_id
        self.state = state
        self.life = StateLife()
        self.cell = cell
        self.engine = engine
        self.restoring = False
        self.depth = 0
        self.ask = ""
        self.answers = dict(answers or {})
        self.functions = dict(functions or {})
        self.calls: list[tuple[str, Any]] = []
        self.reservations: list[FakeReservation] = []
        self.refuse_reservation: LimitError | DeniedError | None = None
        self.refuse_approval: DeniedError | None = None

    def of(self, name: str) -> list[Any]:
        """The details of every call of one kind: `context.of("chunk")`."""
        return [details for called, details in self.calls if called == name]

    def chunk(self, text: str) -> None:
        self.calls.append(("chunk", text))

    def pieces(self) -> StreamRedactor:
        return Redactor().stream()

    async def reserve(
        self,
        *,
        model: str = "",
        requests: int = 1,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cost_usd: float | None = None,
        seconds: float = 0.0,
        steps: int = 0,
    ) -> FakeReservation:
        asked = {"model": model, "requests": requests, "input_tokens": input_tokens, "output_tokens": output_tokens}
        self.calls.append(("reserve", {**asked, "cost_usd": cost_usd, "seconds": seconds, "steps": steps}))
        if self.refuse_reservation is not None:
            raise self.refuse_reservation
        self.reservations.append(FakeReservation(seconds))
        return self.reservations[-1]

    async def approve(self, what: str, details: Mapping[str, Value]) -> None:
        self.calls.append(("approve", (what, dict(details))))
        if self.refuse_approval is not None:
            raise self.refuse_approval

    def retried(self, *, attempt: int, attempts: int, wait_s: float, error: BridgeError) -> None:
        self.calls.append(("retried", {"attempt": attempt, "attempts": attempts, "wait_s": wait_s, "error": error}))

    def usage(
        self,
        *,
        model: str = "",
        input_tokens: int = 0,
        output_tokens: int = 0,
        cached_tokens: int = 0,
        cost_usd: float | None = None,
        attempts: int = 1,
        finish_reason: str = "",
        seconds: float = 0.0,
    ) -> None:
        for reservation in self.reservations:
            if not reservation.ended:
                reservation.settle()
                break
        used = {"model": model, "input_tokens": input_tokens, "output_tokens": output_tokens, "cached_tokens": cached_tokens}
        self.calls.append(("usage", {**used, "cost_usd": cost_usd, "attempts": attempts, "finish_reason": finish_reason}))

    def now(self) -> float:
        return self.now_s

    def passes(self, seconds: float) -> None:
        self.calls.append(("passes", seconds))

    def show(self, shown: Shown) -> None:
        self.calls.append(("show", shown))

    def clear(self) -> None:
        self.calls.append(("clear", None))

    def write(self, stream: str, text: str) -> None:
        self.calls.append(("write", (stream, text)))

    def log(self, level: str, message: str, fields: dict[str, Value]) -> None:
        self.calls.append(("log", (level, message, fields)))

    async def call(
        self,
        bridge: str,
        method: str,
        *args: Value,
        on_text: Callable[[str], None] | None = None,
        level: Level = "read",
        capability: str = "",
        ask: str = "",
    ) -> Any:
        """Gives what `answers` has for it; a KeyError is a test that forgot to give it."""
        self.calls.append(("call", (f"{bridge}.{method}", args)))
        return self.answers[f"{bridge}.{method}"](*args)

    def function(self, callback: Callback) -> FakeFunction:
        return FakeFunction(callback, self.engine, self.state)

    def fresh_state(self, engine: str, *, allow: Sequence[str] = ()) -> AbstractAsyncContextManager[FreshState]:
        """There is none without a session: what runs scripts is tested with one."""
        raise NotImplementedError("a fresh state needs a Session; test this with one")

    async def invoke(self, callback: Callback, *args: Value, as_type: Any = Any) -> Any:
        """Calls the function of that id; a KeyError is a test that forgot to give it."""
        self.calls.append(("invoke", (callback, args)))
        value = self.functions[callback.id](*args)
        return value if as_type is Any else converted(value, as_type, "the function's result")
