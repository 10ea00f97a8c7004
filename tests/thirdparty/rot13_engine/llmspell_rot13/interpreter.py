"""The engine, imported in the worker: the text of a cell is decoded, and a Lua state of its own runs it.

Only source text is in rot13: the names of globals and bridges, as the host asks for them, are those of the decoded text.
"""

from __future__ import annotations

from codecs import getdecoder
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Raw

from llmspell_kernel.engines import Emit, Engine, Options, State, StopFlag
from llmspell_kernel.engines.lua import interpreter as lua
from llmspell_kernel.protocol.steps import Allowance, Answer, Invocation, QueryKind, Step

_decode = getdecoder("rot13")
"""Looked up now: Python loads a codec's file when it is first asked for, and a confined worker opens none."""


def decoded(text: str) -> str:
    return str(_decode(text)[0])


class Rot13Engine:
    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self.facts: Mapping[str, str | bool] = inner.facts

    def open(self, options: Options, catalogue: Mapping[str, Any]) -> Rot13State:
        return Rot13State(self._inner.open(options, catalogue))


class Rot13State:
    def __init__(self, inner: State) -> None:
        self._inner = inner

    def allow(self, allowance: Allowance) -> None:
        self._inner.allow(allowance)

    def tell_time(self, time_s: float) -> None:
        self._inner.tell_time(time_s)

    def start(self, code: str, chunk: str) -> Step:
        return self._inner.start(decoded(code), chunk)

    def call(self, function: str, args: Raw, chunk: str) -> Step:
        return self._inner.call(function, args, chunk)

    def resume(self, answers: Sequence[Answer], invocations: Sequence[Invocation]) -> Step:
        return self._inner.resume(answers, invocations)

    def query(self, kind: QueryKind, text: str, value: bytes) -> bytes:
        return self._inner.query(kind, decoded(text) if kind == "is_complete" else text, value)

    def close(self) -> None:
        self._inner.close()


def create_engine(stop: StopFlag, emit: Emit) -> Rot13Engine:
    return Rot13Engine(lua.create_engine(stop, emit))
