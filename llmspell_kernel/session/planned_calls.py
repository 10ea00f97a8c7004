"""The call that an effect asks for: permitted by policy and by its user, its arguments bound, and not made yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..bridges._bridge import Resource
from ..bridges._declaration import MethodDeclaration
from ..errors import DeniedError, InternalError, RefusedError, ScriptError, nearest
from ..policy.decide import Allow, Ask, Deny, EffectFacts, Level, decide
from ..protocol.steps import Effect
from ..values import ResourceRef, Value
from .large_values import by_size

if TYPE_CHECKING:
    from .cell_run import CellRun
    from .effects import EffectContext


class Planned(NamedTuple):
    """A call that may be made: `make` makes it, `after` is told its value whoever gave it."""

    bridge: str
    method: MethodDeclaration | None
    make: Callable[[], Awaitable[Any]]
    after: Callable[[Value], Awaitable[None]]


async def allowed_call(run: CellRun, context: EffectContext, effect: Effect, arguments: list[Value]) -> Planned:
    """The call, bound and permitted.  Raises the SpellError that refuses it."""
    run.effects += 1
    verdict = decided(run, context, effect)
    if run.effects > (cap := run.limits.effects):
        raise run.exceed("effects", cap, run.effects)
    call = await _bound_call(run, context, effect, arguments)
    await _consent(run, context, call.method, verdict, arguments)
    return call


async def _consent(
    run: CellRun, context: EffectContext, method: MethodDeclaration | None, verdict: Allow | Ask, arguments: list[Value]
) -> None:
    """One question, whoever wants it: the policy, or who makes the call.  Raises DeniedError, for the latter RefusedError."""
    own = context.ask if method is not None and method.replay != "again" else ""  # else the method hands it on
    reasons = [*([verdict.reason] if isinstance(verdict, Ask) else []), *([own] if own else [])]
    if not reasons or run.is_replayed(method):
        return
    context.asks = method
    named = {str(position): argument for position, argument in enumerate(arguments, 1)}
    try:
        await run.consent(context.call_id, context.facts, named, "; ".join(reasons))
    except DeniedError as error:
        if own:
            raise RefusedError(error.message, capability=error.capability) from error
        raise


def decided(run: CellRun, context: EffectContext, effect: Effect) -> Allow | Ask:
    """Raises DeniedError."""
    context.facts = EffectFacts(context.capability or f"{effect.bridge}.{effect.method}", context.level_of(_level(run, effect)))
    verdict = decide(context.facts, context.grants)
    if isinstance(verdict, Deny):
        raise DeniedError(verdict.reason, capability=verdict.capability)
    return verdict


async def _bound_call(run: CellRun, context: EffectContext, effect: Effect, arguments: list[Value]) -> Planned:
    """Raises the ScriptError that says what is wrong with it."""
    if effect.target is not None:
        return await _resource_call(run, context, effect, arguments)
    declaration = run.declarations.get(effect.bridge)
    if declaration is None:
        reason = run.failed_bridges.get(effect.bridge)
        if reason is not None:
            raise ScriptError(f"there is no bridge '{effect.bridge}': it could not be loaded: {reason}", code="unknown")
        raise ScriptError(f"there is no bridge '{effect.bridge}'{nearest(effect.bridge, sorted(run.declarations))}", code="unknown")
    method = _known({**declaration.methods, **declaration.inner} if context.inner else declaration.methods, effect)
    bound = await by_size(len(effect.args), method.bind, arguments, _resolver(run))
    _warn(run, method)

    async def call() -> Any:
        bridge = await run.bridges.get(effect.bridge)
        return await getattr(bridge, effect.method)(context, *bound)

    return Planned(effect.bridge, method, call, nothing)


def _level(run: CellRun, effect: Effect) -> Level:
    """What the declaration says; a method that nobody declared is refused later."""
    method = run.declarations.method(effect.bridge, effect.method, of_resource=effect.target is not None)
    return method.level if method is not None else "read"


async def _resource_call(run: CellRun, context: EffectContext, effect: Effect, arguments: list[Value]) -> Planned:
    assert effect.target is not None
    state, number = run.state_number, effect.target
    kind, bridge = run.declarations.of_resource(effect.bridge), effect.bridge.partition(".")[0]
    if kind is None:
        raise InternalError(f"the resource type {effect.bridge} is not declared")
    method = _known(kind.methods, effect)
    bound = await by_size(len(effect.args), method.bind, arguments, _resolver(run))
    _warn(run, method)
    try:
        resource = run.resources.get(state, number, effect.bridge, effect.method)
    except ScriptError:
        if effect.method == "close":  # closing is safe to repeat: a loop that ended has closed it already
            return Planned(bridge, None, nothing, nothing)
        raise

    async def call() -> Any:
        return await getattr(resource, effect.method)(context, *bound)

    async def after(value: Value) -> None:
        if effect.method == "close":
            await run.resources.release(state, number, "closed")
        elif effect.method == kind.iterate and value is None:
            await run.resources.release(state, number, "exhausted")

    return Planned(bridge, method, call, after)


async def nothing(_: Value = None) -> None:
    pass


def _warn(run: CellRun, method: MethodDeclaration) -> None:
    """Says once a session, in whatever cell comes first, that a method is deprecated."""
    if method.deprecated and run.bridges.first_use(method.label):
        run.write("stderr", f"{method.label} is deprecated: {method.deprecated}\n")


def _known(methods: Any, effect: Effect) -> MethodDeclaration:
    method = methods.get(effect.method)
    if method is None:
        raise ScriptError(f"{effect.bridge} has no method '{effect.method}'{nearest(effect.method, sorted(methods))}", code="unknown")
    return method  # type: ignore[no-any-return]


def _resolver(run: CellRun) -> Callable[[ResourceRef], Resource]:
    return lambda ref: run.resources.get(run.state_number, ref.id, ref.type)
