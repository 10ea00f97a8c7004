"""What a call comes to: made now or taken from a cassette, and kept either way, so that it can be played again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Literal

from ..bridges._bridge import Resource
from ..bridges._declaration import MethodDeclaration
from ..errors import ScriptError, SpellError
from ..host_types._crossing import written
from ..protocol.steps import Effect
from ..values import MAX_DEPTH, ResourceRef, Value, dumps_plain
from .faults import contained
from .large_values import by_items
from .planned_calls import Planned
from .value_lists import write_values

if TYPE_CHECKING:
    from ..redaction import Redactor
    from .cell_run import CellRun
    from .effects import EffectContext
    from .taping import Taping
    from .transcript import Made


async def come_to(run: CellRun, context: EffectContext, effect: Effect, arguments: list[Value], planned: Planned) -> tuple[Value, bytes]:
    """What a call comes to, made or taken from a cassette."""

    if planned.method is None or planned.method.replay == "again":
        value, text = await _live(run, effect, planned)
    else:
        value, text = await _kept_call(run, context, effect, arguments, planned, planned.method)
    await planned.after(value)
    return value, text


async def _live(run: CellRun, effect: Effect, planned: Planned) -> tuple[Value, bytes]:
    value = await contained(run.bridges.call(planned.bridge, planned.make()), f"{effect.bridge}.{effect.method}")
    try:
        if (text := await by_items(value, dumps_plain)) is None:
            value, text = written(_kept(run, effect, value))
    except (SpellError, asyncio.CancelledError):
        await _release_unkept(run, value)
        raise
    if run.redactor.active and await _holds_secret(run.redactor, text.decode()):  # of a value that holds none, this is all it costs
        value, text = written(run.redactor.redact_value(value))
    return value, text


async def _kept_call(
    run: CellRun, context: EffectContext, effect: Effect, arguments: list[Value], planned: Planned, method: MethodDeclaration
) -> tuple[Value, bytes]:
    """A call that can be played again: it is answered from a cassette, or made and kept."""
    text = bytes(effect.args) if len(effect.args) > len(b"[]") else bytes(write_values(arguments))
    if run.redactor.active and run.redactor.finds(text.decode()):
        text = bytes(write_values(run.redactor.redact_value(arguments)))
    taping = run.taping if run.taping is not None and run.taping.takes(method) else None
    context.made = made = run.asked(effect, method, text)
    recording = False
    try:
        found = await _recorded(run, context, effect, text, taping)
        if found is None:
            if taping is not None:
                taping.asked(made)
                recording = True
            found = await _live(run, effect, planned)
        made.answer = found[1]
        return found
    except asyncio.CancelledError:
        made.given_up = True
        raise
    except Exception as error:
        made.failed(error, run.redactor)
        raise
    finally:
        made.redact(run.redactor)
        try:
            _end(run, context, made, taping if recording else None)
        finally:
            run.keep(made)


def _end(run: CellRun, context: EffectContext, made: Made, taping: Taping | None, how: Literal["called", "refused"] = "called") -> None:
    """A call has come to its end, and is written on the cassette that it was asked under.

    Raises the SpellError that the call comes to where it cannot be: that is what the script is told, and so what is kept.
    """
    run.ended(made)
    try:
        if taping is None:
            pass
        elif made.given_up and run.is_stopping:
            taping.forget(made)
        else:
            taping.ended(made, context, how)
    except SpellError as error:
        made.failed(error, run.redactor)
        raise
    finally:
        made.ended_s = context.ended_s or time.time()


def keep_refusal(
    run: CellRun, context: EffectContext, effect: Effect, arguments: list[Value], method: MethodDeclaration, error: SpellError
) -> None:
    """What a user said no to is played as a refusal: nobody is asked again, and no later answer comes in its place."""
    made = run.asked(effect, method, bytes(write_values(run.redactor.redact_value(arguments))))
    made.failed(error, run.redactor)
    taping = run.taping if run.taping is not None and run.taping.takes(method) else None
    try:
        if taping is not None:
            taping.asked(made)
        _end(run, context, made, taping, "refused")
    except SpellError as unrecorded:  # nothing was done, so the no is what the script must know
        made.failed(error, run.redactor)
        run.tell_once(unrecorded.message)
    finally:
        run.keep(made)


async def _recorded(
    run: CellRun, context: EffectContext, effect: Effect, written: bytes, taping: Taping | None
) -> tuple[Value, bytes] | None:
    if run.playback is not None:
        position = run.playback.find(run, effect, written)
        if position is None:
            run.missing.append(f"{effect.bridge}.{effect.method}")
            raise run.playback.missing(effect, written)
        return await run.playback.play(run, context, effect, written, position)
    return None if taping is None else await taping.answer(run, context, effect, written)


async def _holds_secret(redactor: Redactor, text: str) -> bool:
    """Looks through an answer, which may be of many megabytes, without holding up the event loop."""
    for number, part in enumerate(redactor.windows(text)):
        if number:
            await asyncio.sleep(0)
        if redactor.finds(part):
            return True
    return False


def _kept(run: CellRun, effect: Effect, value: Any, depth: int = 0) -> Any:
    """The value with a reference in place of each thing to be kept."""
    if isinstance(value, Resource):
        return _reference(run, effect, value)
    if depth > MAX_DEPTH:
        return value  # told of where it is written
    if type(value) in (list, tuple):
        return [_kept(run, effect, item, depth + 1) for item in value]
    if type(value) is dict:
        return {key: _kept(run, effect, item, depth + 1) for key, item in value.items()}
    return value


def _reference(run: CellRun, effect: Effect, resource: Resource) -> ResourceRef:
    if not run.holds_resources:
        raise ScriptError(
            f"{effect.bridge}.{effect.method} gives a {resource.type}, which only a script can hold; call it in a cell", code="resource"
        )
    ref = run.resources.keep(run, resource)
    run.gave(effect.id, ref.id)
    return ref


async def _release_unkept(run: CellRun, value: Any, depth: int = 0) -> None:
    """Closes what nobody will hold: the thing that was refused, and those after it."""
    if isinstance(value, Resource):
        if not run.resources.holds(value):
            await value.release()
    elif depth <= MAX_DEPTH and type(value) in (list, tuple, dict):
        for item in value.values() if type(value) is dict else value:
            if isinstance(item, (Resource, list, tuple, dict)):
                await _release_unkept(run, item, depth + 1)
