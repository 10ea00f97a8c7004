"""A JavaScript state driven by hand, for the tests of the engine."""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest

from llmspell_kernel import values
from llmspell_kernel.engines._engine import Options
from llmspell_kernel.engines.javascript.interpreter import JavaScriptEngine, JavaScriptState, create_engine
from llmspell_kernel.protocol.steps import Answer, Background, Effect, Failed, Fault, Finished, Invocation, Step, Suspended

CATALOGUE = {
    "bridges": {"llm": ["chat", "set_model", "stream"], "timer": ["sleep"], "modules": ["source"]},
    "resources": {"llm.stream": {"methods": ["next", "text", "close"], "iterate": "next"}},
}


class Flag:
    """The stop byte, in a buffer of our own."""

    variable = "STOP"

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(b"0")
        self.address = ctypes.addressof(self._buffer)

    def raised(self) -> bool:
        return self._buffer.raw[0] != 0x30

    def set(self, *, stop: bool) -> None:
        self._buffer[0] = b"1" if stop else b"0"


class World:
    """One state, driven by hand."""

    def __init__(
        self, engine: JavaScriptEngine, flag: Flag, printed: list[tuple[int, str]], catalogue: Mapping[str, Any] = CATALOGUE, **options: Any
    ) -> None:
        self.flag, self.printed = flag, printed
        self.state: JavaScriptState = engine.open(Options(state=1, **options), catalogue)
        self.cell = 0

    def start(self, code: str) -> Step:
        self.cell += 1
        return self.state.start(code, f"cell[{self.cell}]")

    def result(self, code: str) -> Any:
        """The value of a cell that needs no effect; a one-item list, or an empty one for no result."""
        return done(self.start(code))

    def fault(self, code: str) -> Fault:
        return failed(self.start(code))

    def effects(self, code: str) -> list[Effect]:
        return waiting(self.start(code)).effects

    def answer(self, *answers: Answer, invocations: tuple[Invocation, ...] = ()) -> Step:
        return self.state.resume(answers, invocations)

    def idle(self, *answers: Answer) -> Background | None:
        """What background work comes to without a cell."""
        step = self.state.resume(answers, ())
        assert isinstance(step, Finished) and values.loads(step.values) == [], step
        return step.background

    def stopped(self, code: str) -> Step:
        """The step of a cell that another thread stops while it runs."""
        return self._stopped(lambda: self.start(code))

    def stopped_answer(self, *answers: Answer) -> Step:
        """The same of what an answer makes run."""
        return self._stopped(lambda: self.answer(*answers))

    def _stopped(self, action: Callable[[], Step]) -> Step:
        timer = threading.Timer(0.02, lambda: self.flag.set(stop=True))
        timer.start()
        try:
            return action()
        finally:
            timer.join()
            self.flag.set(stop=False)


def done(step: Step) -> Any:
    assert isinstance(step, Finished), step
    return values.loads(step.values)


def failed(step: Step) -> Fault:
    assert isinstance(step, Failed), step
    return step.fault


def waiting(step: Step) -> Suspended:
    assert isinstance(step, Suspended), step
    return step


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(values.dumps(value))


def arguments(effect: Effect) -> Any:
    return json.loads(bytes(effect.args))


def places(fault: Fault) -> list[tuple[str, int, int, str]]:
    return [(place.chunk, place.line, place.column, place.function) for place in fault.frames]


@pytest.fixture(scope="module")
def machinery() -> tuple[JavaScriptEngine, Flag, list[tuple[int, str]]]:
    flag, printed = Flag(), list[tuple[int, str]]()
    return create_engine(flag, lambda stream, text: printed.append((stream, text.decode()))), flag, printed


@pytest.fixture
def new_world(machinery: tuple[JavaScriptEngine, Flag, list[tuple[int, str]]]) -> Iterator[Callable[..., World]]:
    engine, flag, printed = machinery
    printed.clear()
    opened: list[World] = []

    def make(**options: Any) -> World:
        opened.append(World(engine, flag, printed, **options))
        return opened[-1]

    yield make
    for world in opened:
        world.state.close()


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world()
