"""One Lua state in this process, driven a step at a time: what it prints is not looked at, and each effect is answered when the test says so."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import msgspec

from llmspell_kernel.engines._engine import Options
from llmspell_kernel.engines.lua.interpreter import create_engine
from llmspell_kernel.protocol.steps import Answer, Background, Effect, Failed, Fault, Finished, Invocation, Step, Suspended

CATALOGUE: Mapping[str, Any] = {
    "bridges": {"llm": ["chat"], "timer": ["sleep"], "modules": ["source"], "probe": ["pair", "stream_chat"]},
    "resources": {"probe.counter": {"methods": ["close", "next", "span"], "iterate": "next"}},
    "aliases": {"probe": {"streamChat": "stream_chat"}, "probe.counter": {"range": "span"}},
    "several": {"probe": ["pair"], "probe.counter": ["span"]},
}
ENTROPY = "00112233445566778899aabbccddeeff"


class Flag:
    """The stop flag, in the environment of this process."""

    variable = "LLMSPELL_TEST_STOP"
    address = 0

    def __init__(self) -> None:
        self.lower()

    def raised(self) -> bool:
        return os.environ[self.variable] != "0"

    def lower(self) -> None:
        os.environ[self.variable] = "0"

    def stop(self) -> None:
        os.environ[self.variable] = "1"


class Driven:
    """A state with its last step, and the effects that it asked for and that are not answered, in order."""

    def __init__(self, entropy: str = ENTROPY, memory_bytes: int = 64 * 1024 * 1024, seed: int = 0) -> None:
        self.flag = Flag()
        options = Options(state=1, entropy=entropy, memory_bytes=memory_bytes, seed=seed)
        self.state = create_engine(self.flag, lambda stream, text: None).open(options, CATALOGUE)
        self.step: Step = Finished()
        self.asked: dict[int, Effect] = {}

    @property
    def background(self) -> Background | None:
        assert not isinstance(self.step, Suspended), self.step
        return self.step.background

    @property
    def waits_for(self) -> list[str]:
        """What is asked for, as `sleep [1]`."""
        return [f"{effect.method} {bytes(effect.args).decode()}" for effect in self.asked.values()]

    def begin(self, code: str, chunk: str = "cell[1]") -> Step:
        return self._take(self.state.start(code, chunk))

    def resume(self, *invocations: Invocation) -> Step:
        return self._take(self.state.resume([], invocations))

    def answer(self, method: str, value: Any = None, *, fault: Fault | None = None) -> Step:
        """Answers the first effect whose text begins so."""
        texts = dict(zip(self.asked, self.waits_for, strict=True))
        number = next(known for known, text in texts.items() if text.startswith(method))
        del self.asked[number]
        return self._take(self.state.resume([Answer(number, msgspec.Raw(json.dumps(value).encode()), fault)], []))

    def values(self, code: str) -> list[Any]:
        """The results of a cell that asks for nothing."""
        return self.finished(self.begin(code))

    def value(self, code: str) -> Any:
        return self.values(code)[0]

    def fault(self, code: str, chunk: str = "cell[1]") -> Fault:
        return self.failed(self.begin(code, chunk))

    @staticmethod
    def finished(step: Step) -> list[Any]:
        assert isinstance(step, Finished), step
        return list(json.loads(bytes(step.values)))

    @staticmethod
    def failed(step: Step) -> Fault:
        assert isinstance(step, Failed), step
        return step.fault

    def _take(self, step: Step) -> Step:
        self.step = step
        part: Suspended | Background | None = step if isinstance(step, Suspended) else step.background
        if isinstance(part, Background):
            self.asked = {number: effect for number, effect in self.asked.items() if number in part.open}
        elif part is None:
            self.asked = {}
        if part is not None:
            self.asked.update({effect.id: effect for effect in part.effects})
            for number in part.abandoned:
                self.asked.pop(number, None)
        return step
