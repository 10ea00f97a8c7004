"""What the session tests share: a bridge that can misbehave in every way, a sink that records, short-hands to run cells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from llmspell_kernel import Bridge, Context, Resource, method
from llmspell_kernel.engines._registry import discover
from llmspell_kernel.journal.events import AnyEvent
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.policy.limits import PRESETS, Limits
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.shown import Shown
from llmspell_kernel.testing.fake_worker import FakePool, FakeWorker, Item
from llmspell_kernel.values import Callback, Value
from llmspell_kernel.workers.pool import Clock

ENGINES = [engine.name for engine in discover()]
LIMITS = PRESETS["strict"]._replace(history_bytes=0)
"""A fake worker plays what it was given, and cannot play it again for a state that is restored."""


class Recording:
    """A sink that keeps what it got, in order."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []

    def write(self, stream: str, text: str) -> None:
        self.got.append((stream, text))

    def show(self, shown: Shown, null: str) -> int:
        self.got.append(("shown", shown))
        return 0

    def clear(self) -> None:
        self.got.append(("clear", None))

    def text(self, stream: str) -> str:
        return "".join(text for kind, text in self.got if kind == stream)


class Ticker(Resource):
    """Gives numbers until it is at its end."""

    type = "probe.ticker"
    iterate = "next"

    def __init__(self, probe: Probe, last: int) -> None:
        self._probe = probe
        self._last = last
        self._at = 0
        self.released = 0

    @method
    async def next(self, ctx: Context) -> int | None:
        """The next number."""
        self._at += 1
        return self._at if self._at <= self._last else None

    @method
    async def close(self, ctx: Context) -> None:
        """Ends it."""

    async def release(self) -> None:
        self.released += 1
        if self._probe.release_error is not None:
            raise self._probe.release_error


class Other(Resource):
    """Another type of resource."""

    type = "probe.other"

    @method
    async def next(self, ctx: Context) -> int:
        """A number."""
        return 1


class Probe(Bridge):
    """What a test calls."""

    name = "probe"
    resources = (Ticker, Other)

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.closed = 0
        self.cancelled = 0
        self.waiting = asyncio.Event()
        """Set once a call waits."""
        self.called = asyncio.Event()
        """Set once `echo` or `wait` is called."""
        self.context: Context | None = None
        self.callback: Callback | None = None
        self.raises: Exception | None = None
        self.writes = ""
        """What `fail` writes before it raises."""
        self.release_error: Exception | None = None
        self.close_error: Exception | None = None
        self.answer: Any = None
        self.tickers: list[Ticker] = []

    async def close(self) -> None:
        self.closed += 1
        if self.close_error is not None:
            raise self.close_error

    @method
    async def echo(self, ctx: Context, value: Value = None) -> Value:
        """Gives back what it got."""
        self.calls.append("echo")
        self.called.set()
        return value

    @method
    async def give(self, ctx: Context) -> Value:
        """Gives what the test wrote down."""
        return self.answer

    @method
    async def count(self, ctx: Context, number: int) -> int:
        """Takes a number."""
        self.calls.append("count")
        return number

    @method
    async def say(self, ctx: Context, text: str) -> str:
        """An answer in chunks."""
        for letter in text:
            ctx.chunk(letter)
        ctx.usage(model="m", output_tokens=len(text))
        return text

    @method
    async def fail(self, ctx: Context) -> None:
        """Raises what the test wrote down."""
        assert self.raises is not None
        ctx.write("stdout", self.writes)
        raise self.raises

    @method
    async def give_up(self, ctx: Context) -> None:
        """Awaits a task of its own that was cancelled."""
        task = asyncio.create_task(asyncio.Event().wait())
        task.cancel()
        await task

    @method
    async def hang(self, ctx: Context) -> None:
        """Waits until it is cancelled."""
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    @method
    async def wait(self, ctx: Context, seconds: float) -> None:
        """Waits that long."""
        self.called.set()
        await asyncio.sleep(seconds)

    @method
    async def keep(self, ctx: Context, fn: Callback) -> None:
        """Keeps a function and the context for later."""
        self.context, self.callback = ctx, fn

    @method
    async def apply(self, ctx: Context, fn: Callback, value: Value = None) -> Value:
        """Calls a function of the script."""
        return await ctx.invoke(fn, value)

    @method
    async def ticker(self, ctx: Context, last: int) -> Ticker:
        """A resource."""
        self.tickers.append(Ticker(self, last))
        return self.tickers[-1]

    @method
    async def tickers_of(self, ctx: Context, count: int) -> dict[str, Any]:
        """Some resources inside an object."""
        self.tickers += [Ticker(self, 9) for _ in range(count)]
        return {"list": self.tickers[-count:]}

    @method
    async def peek(self, ctx: Context, ticker: Ticker) -> int:
        """Where a resource is."""
        return ticker._at

    @method
    async def other(self, ctx: Context) -> Other:
        """A resource of the other type."""
        return Other()


class World:
    """A session with the probe, its sink and its fakes."""

    def __init__(self, session: Session, probe: Probe, sink: Recording, fakes: Sequence[FakeWorker]) -> None:
        self.session = session
        self.probe = probe
        self.sink = sink
        self.fakes = fakes

    @property
    def fake(self) -> FakeWorker:
        return self.fakes[0]

    def events(self, *kinds: type[AnyEvent]) -> list[Any]:
        return [event for event in self.session.recorder if not kinds or isinstance(event, kinds)]

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.session.recorder]


@asynccontextmanager
async def world(
    *scripts: Sequence[Item] | FakeWorker,
    limits: Limits = LIMITS,
    grants: Grants | None = None,
    probe: Probe | None = None,
    workers: WorkerPolicy | None = None,
    clock: Clock | None = None,
    settings: Settings | None = None,
) -> AsyncIterator[World]:
    """A session; its workers are fakes that play the scripts, one each, or real processes where none are given."""
    probe, sink = probe or Probe(), Recording()
    fakes = [script if isinstance(script, FakeWorker) else FakeWorker(script) for script in scripts]
    pool = FakePool(fakes, policy=workers, clock=clock) if fakes else None
    session = Session(sink=sink, settings=settings, bridges=[probe], limits=limits, grants=grants, pool=pool, clock=clock)
    try:
        yield World(session, probe, sink, fakes)
    finally:
        await session.close()


def stop_after_call(world: World) -> Callable[[], Any]:
    """Interrupts the session as soon as the probe waits; give it to asyncio.gather beside the cell."""

    async def stop() -> None:
        await world.probe.waiting.wait()
        world.session.interrupt()

    return stop
