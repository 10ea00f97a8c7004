"""A state for one purpose: a model's own script, under the preset strict and with the calls that it was given alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..bridges._bridge import FreshResult
from ..bridges._declaration import own_method
from ..errors import Interrupted, SpellError
from ..policy.decide import Grants
from ..policy.limits import narrower
from ..policy.presets import PRESETS
from ..protocol.steps import Effect, Fault
from ..values import Value
from .faults import error_of, fault_of
from .foreign import refuse_foreign
from .redacted import redact_error
from .script_state import Opening, ScriptState, refuse_surrogates
from .sink import KeptText
from .within import run_within

if TYPE_CHECKING:
    from .effects import EffectContext

PRESET = "strict"


class FreshScript:
    """bridges._bridge.FreshState."""

    def __init__(self, within: EffectContext, script: ScriptState) -> None:
        self._within = within
        self._script = script
        self.name, self.life = script.name, script.life

    async def run(self, code: str) -> FreshResult:
        effect = Effect(0, "script", "run")
        came_to = await self._within.call_own(effect, [self._script.engine, code], _RUN, lambda within: self._run(within, code))
        values, printed, fault = came_to
        return FreshResult(values, printed, None if fault is None else error_of(Fault(**fault), self._script.engine))

    async def _run(self, within: EffectContext, code: str) -> list[Value]:
        came_to = await self._came_to(within, code)
        await within.run.session.cells.end_background(self._script)
        return came_to

    async def _came_to(self, within: EffectContext, code: str) -> list[Value]:
        printed = KeptText()
        try:
            refuse_surrogates(code)
            values = await run_within(within, self._script, code, printed)
            refuse_foreign(values, "the script's result")
        except Interrupted:
            raise
        except SpellError as error:
            fault = fault_of(redact_error(error, within.run.redactor), "")
            return [[], printed.text, {name: getattr(fault, name) for name in ("code", "message", "name", "retryable", "limit")}]
        return [within.run.redactor.redact_value(values), printed.text, None]


_RUN = own_method("script.run", "What a script came to: its values, what it printed, and its fault.", "call")


@asynccontextmanager
async def fresh_state(within: EffectContext, engine: str, allow: Sequence[str]) -> AsyncIterator[FreshScript]:
    session = within.run.session
    language = session.engines.get(engine)
    preset = PRESETS[PRESET]
    number = 1
    while (f"{within.state}/{number}", language.name) in session.states:
        number += 1
    name = f"{within.state}/{number}"
    limits = narrower(session.limits, preset.limits)._replace(history_bytes=0)  # nothing restores it
    script = session.fresh(name, language.name, Opening(PRESET, language.names_of(preset.left_out), session.settings.seed, limits))
    script.grants = (
        preset.grants,
        Grants(tuple(allow), source="the call that runs this script", mend="its caller says which calls it may make"),
    )
    try:
        yield FreshScript(within, script)
    finally:
        await session.forget(name, language.name)
