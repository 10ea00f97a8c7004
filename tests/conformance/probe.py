"""The bridge that the conformance cases talk to: written only with what a third party has."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from llmspell_kernel import Bridge, Context, Resource, method
from llmspell_kernel.errors import BridgeError
from llmspell_kernel.values import EMPTY_TABLE, Callback, Opaque, ResourceRef, Value

MEETING_TIMEOUT_S = 5.0

# One of each kind that only the host can make; TOML has no words for some of them.
FROM_HOST: dict[str, Value] = {
    "none": None,
    "int above 2**53": 2**53 + 1,
    "largest int": 2**63 - 1,
    "smallest int": -(2**63),
    "int beyond 64 bits": 2**63,
    "float": 1.5,
    "integral float": 2.0,
    "negative zero": -0.0,
    "nan": float("nan"),
    "infinity": float("inf"),
    "bytes": b"\xff\x00\x80",
    "lone surrogate": "\ud800",
    "complex number": 1j,
    "nested bytes": {"rows": [b"\xff", None, {}]},
    "list with none": [1, None, 3],
    "dict with none": {"a": None, "b": 1},
    "empty list": [],
    "empty dict": {},
    "function of nobody": [Callback(10**9)],
    "what can only be shown": [Opaque("a symbol")],
    "undecided empty table": [EMPTY_TABLE],
}


class CountOptions(msgspec.Struct):
    """How a counter counts."""

    start: int = 1
    step: int = 1


class Counter(Resource):
    """Counts up to a limit, one number a call."""

    type = "probe.counter"
    iterate = "next"

    def __init__(self, probe: Probe, limit: int, options: CountOptions) -> None:
        self._probe = probe
        self._numbers = range(options.start, limit + 1, options.step)
        self._at = 0

    @method
    async def next(self, ctx: Context) -> int | None:
        """The next number, nothing at the end."""
        if self._at >= len(self._numbers):
            return None
        self._at += 1
        return self._numbers[self._at - 1]

    @method
    async def total(self, ctx: Context) -> int:
        """The sum of the numbers given so far."""
        return sum(self._numbers[: self._at])

    @method
    async def split(self, ctx: Context) -> tuple[int, int]:
        """How many numbers were given, and how many are left."""
        return self._at, len(self._numbers) - self._at

    @method
    async def close(self, ctx: Context) -> None:
        """Ends the counter."""

    async def release(self) -> None:
        self._probe.releases += 1


class Lamp(Resource):
    """Is on or off; nothing can be looped over."""

    type = "probe.lamp"

    def __init__(self) -> None:
        self._is_on = False

    @method
    async def switch(self, ctx: Context, on: bool = True) -> bool:
        """Switches it; was it on?"""
        was_on, self._is_on = self._is_on, on
        return was_on

    @method
    async def next(self, ctx: Context) -> str:
        """What a counter has under this name, too."""
        return "lamp"


class Probe(Bridge):
    """Says what the host sees, and does what a case needs of it."""

    name = "probe"
    resources = (Counter, Lamp)

    def __init__(self) -> None:
        self.address = ""
        self.forget()

    def forget(self) -> None:
        """As new, for the next case."""
        self.releases = 0
        self._in_flight = self._peak = self._cancelled = 0
        self._meeting: list[asyncio.Future[None]] = []
        self._gates: dict[str, asyncio.Event] = {}
        self._cancelled_more = asyncio.Event()
        self._kept: Callback | None = None
        self._seen: list[Value] = []

    @method
    async def site(self, ctx: Context) -> str:
        """The address of the web server of the tests."""
        return self.address

    @method
    async def echo(self, ctx: Context, value: Value = None) -> Value:
        """The value itself, after a way through the host."""
        return value

    @method
    async def describe(self, ctx: Context, value: Value = None) -> str:
        """The types that the host sees, as in `list[int, str]`."""
        return described(value)

    @method
    async def give(self, ctx: Context, what: str) -> Value:
        """A value of the host's own, by its name in FROM_HOST."""
        return FROM_HOST[what]

    @method
    async def add(self, ctx: Context, a: int, b: int) -> int:
        """The sum of two integers."""
        return a + b

    @method
    async def join(self, ctx: Context, separator: str, *parts: str) -> str:
        """The parts in one text."""
        return separator.join(parts)

    @method
    async def divide(self, ctx: Context, a: int, b: int) -> tuple[int, int]:
        """The quotient and the remainder."""
        return divmod(a, b)

    @method
    async def ends(self, ctx: Context, values: list[Any]) -> tuple[Value, Value]:
        """The first value and the last; nothing twice of an empty list."""
        return (values[0], values[-1]) if values else (None, None)

    @method
    async def half(self, ctx: Context, number: float) -> float:
        """Half of a number, which must be finite."""
        return number / 2

    @method
    async def sum_of(self, ctx: Context, numbers: list[int]) -> int:
        """The sum of a list."""
        return sum(numbers)

    @method
    async def size_of(self, ctx: Context, data: bytes) -> int:
        """How many bytes there are."""
        return len(data)

    @method
    async def delay(self, ctx: Context, seconds: float, value: Value = None) -> Value:
        """The value, that many seconds later."""
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self._note_cancelled()
            raise
        finally:
            self._in_flight -= 1
        return value

    @method
    async def gate(self, ctx: Context, name: str, value: Value = None) -> Value:
        """The value, once the gate of that name is open."""
        try:
            async with asyncio.timeout(MEETING_TIMEOUT_S):
                await self._gate(name).wait()
        except TimeoutError:
            raise BridgeError(f"nobody opened the gate '{name}'") from None
        except asyncio.CancelledError:
            self._note_cancelled()
            raise
        return value

    @method
    async def open_gate(self, ctx: Context, name: str) -> None:
        """Opens a gate for those who wait there and those who come later."""
        self._gate(name).set()

    def _gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())

    def _note_cancelled(self) -> None:
        self._cancelled += 1
        self._cancelled_more.set()

    @method
    async def meet(self, ctx: Context, others: int, value: Value = None) -> Value:
        """The value, once that many calls are waiting here at the same time."""
        here: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._meeting.append(here)
        if len(self._meeting) == others:
            for waiting in self._meeting:
                waiting.set_result(None)
            self._meeting = []
        try:
            await asyncio.wait_for(here, MEETING_TIMEOUT_S)
        except TimeoutError:
            raise BridgeError(f"{others} calls were to meet, but {len(self._meeting)} came") from None
        return value

    @method
    async def peak(self, ctx: Context) -> int:
        """The highest number of delays that were in flight at once."""
        return self._peak

    @method
    async def cancelled(self, ctx: Context, at_least: int = 0) -> int:
        """How many delays and waits at gates were cancelled, as soon as there are so many."""
        try:
            async with asyncio.timeout(MEETING_TIMEOUT_S):
                while self._cancelled < at_least:
                    self._cancelled_more.clear()
                    await self._cancelled_more.wait()
        except TimeoutError:
            raise BridgeError(f"{at_least} calls were to be cancelled, but {self._cancelled} were") from None
        return self._cancelled

    @method
    async def released(self, ctx: Context) -> int:
        """How many counters were released."""
        return self.releases

    @method
    async def fail(self, ctx: Context, code: str, message: str, retryable: bool = False) -> None:
        """Fails as the outside world does."""
        raise BridgeError(message, code=code, retryable=retryable)

    @method
    async def crash(self, ctx: Context) -> None:
        """Fails as a bridge with a bug does."""
        raise ZeroDivisionError("a bug of the bridge")

    @method
    async def apply(self, ctx: Context, fn: Callback, value: Value = None) -> Value:
        """What the script's function makes of the value."""
        return await ctx.invoke(fn, value)

    @method
    async def apply_all(self, ctx: Context, fns: list[Callback]) -> list[Any]:
        """What the functions return, called all at once with their index from 1."""
        return list(await asyncio.gather(*(ctx.invoke(fn, index) for index, fn in enumerate(fns, 1))))

    @method
    async def keep(self, ctx: Context, fn: Callback) -> None:
        """Keeps a function for a later cell."""
        self._kept = fn

    @method
    async def call_kept(self, ctx: Context, value: Value = None) -> Value:
        """What the kept function makes of the value."""
        assert self._kept is not None
        return await ctx.invoke(self._kept, value)

    @method
    async def differs(self, ctx: Context, value: Value) -> bool:
        """Is the value another than at the case's first call of this method?"""
        self._seen.append(value)
        return bool(value != self._seen[0])

    @method
    async def count(self, ctx: Context, limit: int, options: CountOptions | None = None) -> Counter:
        """A counter.

        - limit: the last number
        """
        return Counter(self, limit, options or CountOptions())

    @method
    async def lamp(self, ctx: Context) -> Lamp:
        """A lamp."""
        return Lamp()

    @method
    async def say(self, ctx: Context, stream: str, text: str) -> None:
        """Writes to the cell's output from the host."""
        ctx.write(stream, text)

    @method
    async def tell(self, ctx: Context, parts: list[str]) -> str:
        """The joined parts, given chunk by chunk."""
        for part in parts:
            ctx.chunk(part)
        return "".join(parts)


def described(value: Value) -> str:
    if isinstance(value, Callback):
        return "function"
    if isinstance(value, ResourceRef):
        return value.type
    if isinstance(value, list):
        return f"list[{', '.join(described(item) for item in value)}]"
    if isinstance(value, dict):
        return f"dict[{', '.join(f'{key}: {described(item)}' for key, item in value.items())}]"
    return type(value).__name__
