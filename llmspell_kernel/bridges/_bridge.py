"""The bridge interface: a class with typed async methods; everything else is read from their signatures and docstrings.

A bridge sees the outside world through its services and the session through `Context`, nothing more.  Third parties use the same names, as
`from llmspell_kernel import Bridge, Context, Resource, method`, and an entry point in the group `llmspell.bridges` that names the class.

    class Weather(Bridge):
        \"\"\"The weather, for scripts.\"\"\"
        name = "weather"

        @method
        async def today(self, ctx: Context, city: str, days: int = 1) -> dict[str, Any]:
            \"\"\"The forecast for a city.\"\"\"
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar, overload

from ..shown import Shown
from ..values import Callback, Value

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from ..errors import BridgeError, LimitError, SpellError
    from ..policy.decide import Level
    from ..policy.files import FilePolicy
    from ..policy.network import NetworkPolicy
    from ..redaction import StreamRedactor
    from ..services.modules import ModuleLibrary
    from ..services.secrets import Secrets
    from ..services.tools.library import ToolLibrary

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
Replay = Literal["answer", "call", "again"]
"""How a call is made a second time; see `method`."""


class Marked(NamedTuple):
    """What `@method` says of a method beside its signature."""

    deprecated: str = ""
    since: str = ""
    level: Level = "read"
    replay: Replay = "answer"
    volatile: Sequence[str] = ()
    inner: bool = False


@overload
def method(function: F) -> F: ...


@overload
def method(
    *,
    deprecated: str = "",
    since: str = "",
    level: Level = "read",
    replay: Replay = "answer",
    volatile: Sequence[str] = (),
    inner: bool = False,
) -> Callable[[F], F]: ...


def method(
    function: F | None = None,
    *,
    deprecated: str = "",
    since: str = "",
    level: Level = "read",
    replay: Replay = "answer",
    volatile: Sequence[str] = (),
    inner: bool = False,
) -> F | Callable[[F], F]:
    """Marks an async method of a bridge or resource as callable by scripts: `@method`, or `@method(since="2", deprecated="use llm.chat")`.

    Parameters after `ctx` are the script's positional arguments.  Annotations may be None, bool, int, float, str, bytes, list[...],
    dict[str, ...], Literal, unions, `values.Callback`, `values.Value` (anything), msgspec.Struct classes (options tables: unknown
    keys are refused with the nearest name), and the host types: data classes, TypedDict, named tuples, pydantic models, enumerations,
    datetime and its kin, Decimal, UUID, Path, sets, numpy arrays, pandas and polars frames and series, and what `register_type` was told
    of.  An answer may hold values of any of these types.  A parameter with a default is optional; `*values: str` takes the rest of the
    arguments.

    A method that returns `tuple[A, B]` gives several results (an array, where the language has none); `Annotated[A, Meta(title="text")]`
    names one.  `since` is the version of the bridge that first had the method; a `deprecated` one works, and the script is told once a
    session what to use instead.  `level` says what the method does outside: it changes nothing ("read"), it changes what is kept ("write"), it
    reaches other machines ("network"), it can do anything ("dangerous"); a policy may have the user asked by level.

    A replay answers a call from its cassette; a method that only shows or computes says `replay="call"`, and is called again.  One that asks
    other methods, by `Context.call`, or keeps something of the script's in the host, says `replay="again"`: it is called again in a replay
    and where a lost state is restored, and what it asks is answered as it was.  `volatile` are members of an answer, or of each item of one
    that is a list, such as a time taken: they are recorded as 0, so that recording the same answers changes nothing.  An `inner` method can
    be asked by `Context.call` alone.
    """
    mark = Marked(deprecated, since, level, replay, volatile, inner)

    def marked(function: F) -> F:
        function.__llmspell_method__ = mark  # type: ignore[attr-defined]
        return function

    return marked if function is None else marked(function)


class Resource:
    """Something the host keeps for a script, which gets a typed opaque id with these methods.  Return one from a bridge method.

    `iterate` names the method whose results a script's loop takes until it returns None; `release` is called once when the script closes
    it, its loop ends, the cell that opened it fails or is stopped, or its state goes.
    """

    type: ClassVar[str] = ""
    """Globally unique: `bridge.thing`, such as `llm.stream`."""
    iterate: ClassVar[str] = ""

    lasting: ClassVar[Sequence[str]] = ()
    """Methods that may still be called once it was closed or its loop ended, such as what the whole of a stream came to."""

    shows_text: ClassVar[bool] = False
    """Is the text that its loop gives a model's answer, and so shown as it comes?"""

    async def release(self) -> None:
        """Called exactly once, by the session."""


class Bridge:
    """A namespace of functions for scripts.  One instance a session; `name` is the global a script sees."""

    name: ClassVar[str] = ""
    version: ClassVar[str] = "1"
    resources: ClassVar[Sequence[type[Resource]]] = ()
    needs: ClassVar[Sequence[str]] = ()
    """Names of bridges that are open whenever this one is: opened before it, closed after it."""

    async def open(self, session: BridgeSession) -> None:
        """Called before the first call of a session; where it raised or took longer than the limit `bridge_open_s`, again before the next."""

    def configure(self, settings: Mapping[str, Any]) -> None:
        """The session's settings by name: called before `open`, and again whenever the user has changed one; it does no I/O."""

    async def close(self) -> None:
        """Called once, when the session ends or the bridge is removed, also when calls failed; it has `bridge_close_s` for it."""


class BridgeSession(Protocol):
    """What a bridge may know of the session that opens it."""

    settings: Mapping[str, Any]
    """The session's settings by name, read-only."""

    @property
    def modules(self) -> ModuleLibrary:
        """The modules that scripts may `require`."""

    @property
    def tools(self) -> ToolLibrary:
        """The Python functions that are tools."""

    @property
    def languages(self) -> Mapping[str, Sequence[str]]:
        """What scripts can be written in: the endings of files, by the name of the engine."""

    @property
    def folder(self) -> Path:
        """The notebook's or project's: where relative paths begin."""

    @property
    def secrets(self) -> Secrets:
        """The user's secrets: `value(name, host)` is sent to that host and kept nowhere."""

    @property
    def network(self) -> NetworkPolicy:
        """What scripts may reach; the session's, so a change of the settings is seen at once."""

    @property
    def files(self) -> FilePolicy:
        """What scripts may keep."""

    @property
    def interceptors(self) -> Interceptors:
        """What sees calls before they are made and after they are answered."""

    async def performance(self, name: str, since_s: float) -> dict[str, Any]:
        """What calls of a model ("": of all) came to, by the journals of the project; see journal.performance."""

    async def bridge(self, name: str) -> Bridge:
        """The open bridge of that name, which `needs` must name."""


class InterceptedCall:
    """A call as interceptors see it: `label` is `llm.generate`, or `agent.agent.run` of a thing that the host keeps.

    `arguments` may be changed before it is made and `value` after it was answered; `notes` is each interceptor's own, for as long as the
    call lasts.  An argument that holds a function of the script or a thing that the host keeps stays as it is.
    `parameters` are their names as the method declares them: who looks for one argument asks by its name, as a place of its own would be a
    second declaration, and a wrong one lets the argument pass unseen.
    """

    __slots__ = ("answered", "arguments", "bridge", "label", "left", "method", "notes", "parameters", "text", "value")

    def __init__(self, bridge: str, method: str, arguments: list[Value], parameters: Sequence[str] = ()) -> None:
        self.bridge = bridge
        self.method = method
        self.label = f"{bridge}.{method}"
        self.arguments = arguments
        self.parameters = parameters
        self.value: Any = None
        self.answered = False
        self.text = ""
        """What is shown of an answer that was held back, where that is not its text."""
        self.notes: dict[str, Any] = {}
        self.left: set[Interceptor] = set()

    def argument(self, name: str) -> Value:
        """What is given for a parameter; None where nothing is, and where the method has no such one."""
        place = self.parameters.index(name) if name in self.parameters else len(self.arguments)
        return self.arguments[place] if place < len(self.arguments) else None

    def set_argument(self, name: str, value: Value) -> None:
        """Gives something for a parameter that the method has."""
        place = self.parameters.index(name)
        given = [*self.arguments, *[None] * (place + 1 - len(self.arguments))]
        self.arguments = [*given[:place], value, *given[place + 1 :]]

    def leave(self, interceptor: Interceptor) -> None:
        """The call is none of this one's: it neither holds back its text nor sees its answer."""
        self.left.add(interceptor)

    def answer(self, value: Any) -> None:
        """The call is not made: this is what it comes to.  A `Resource` must be of the type that the method gives."""
        self.value, self.answered = value, True


class Interceptor:
    """Sees the calls that a pattern names, also those that bridges make by `Context.call`; from `Interceptors.add`.

    Neither what it asks itself nor what a function asks that it calls is seen by any interceptor.  It is called again where a call is
    replayed or a state restored, and must come out the same.
    """

    bridge: ClassVar[str] = ""
    """By which the journal names its runs, as in `hooks.before`."""
    name: str = ""
    """Which one it is, for the journal and for errors."""
    has_before = has_after = True
    before_rank: ClassVar[int] = 0
    after_rank: ClassVar[int] = 2
    """Those of lower rank come first: guardrails see arguments last (1) and answers first (0)."""
    holds_text = False
    """Is text of an answer shown and given only once this has looked at all of it?"""

    @property
    def is_alive(self) -> bool:
        """One that is not, because the state of its functions has ended, is taken away."""
        return True

    async def ready(self) -> None:
        """Called before each of its calls, so that it can have the state of its functions restored (ScriptFunction.ready)."""

    def sees(self, call: InterceptedCall) -> bool:
        """Beyond its pattern: is the call one for it?"""
        return True

    async def before(self, ctx: Context, call: InterceptedCall) -> Value:
        """May change the call's arguments, answer it, or raise what refuses it.  What it returns is in the journal."""

    async def after(self, ctx: Context, call: InterceptedCall) -> Value:
        """May change the call's value, or raise what it then comes to.  What it returns is in the journal."""


class Interceptors(Protocol):
    """Those of one session; a bridge finds them in what it is opened with."""

    def add(self, ctx: Context, pattern: str, interceptor: Interceptor) -> Callable[[Context], None]:
        """From now on it sees calls; what is returned takes it away again.

        `pattern` is a call's label, where `*` stands for any letters, and has as many dots as it: `llm.*` are functions of that bridge and
        no methods of its things.  Of the same rank, they see a call in the order in which they came, and one that a state gives again
        when it is restored takes its old place.  Raises LimitError where there are too many.
        """


class Reservation(Protocol):
    """What a call may use of the user's budgets, from `Context.reserve`; it ends once, and whatever is called afterwards does nothing."""

    @property
    def seconds(self) -> float:
        """How long the call may take of the time it asked for; where that is less, `out_of_time` is the error of a call that needed more."""

    def settle(self) -> None:
        """It was used as it was reserved.  `Context.usage` settles with what was really used."""

    def release(self) -> None:
        """Nothing was used.  What is still open when the call ends is released by the session."""

    def keep(self) -> None:
        """It outlives the call, because a resource goes on using it: whoever closes that settles or releases."""

    def out_of_time(self) -> LimitError:
        """The error to raise when `seconds` are over."""


class ScriptFunction(Protocol):
    """A function of a script that the host may call from any cell, while the state lives that gave it; from `Context.function`.

    A state that is restored after its worker was lost gives its functions anew, as the methods it gave them to are called again.
    """

    engine: str
    state: str

    @property
    def is_alive(self) -> bool:
        """Is its state the one that gave it?"""

    async def ready(self) -> None:
        """Has its state restored, where it was lost: whoever keeps functions looks only then which of them are alive.

        Raises ScriptError where the state cannot be restored.
        """

    async def __call__(self, ctx: Context, *args: Value, as_type: Any = Any) -> Any:
        """Its first result, or its error raised as ScriptError; `as_type` as in `Context.invoke`.

        A function of another state is a cell of that one, with its limits and grants, within the call `ctx`; where that state is busy, it is
        waited for.  Neither functions nor things that the host keeps can cross from one state to another.
        """


class FreshState(Protocol):
    """A script state made for one purpose, from `Context.fresh_state`."""

    name: str
    life: StateLife
    """That of all that its script asks, also in the background: names of states are used again."""

    async def run(self, code: str) -> FreshResult:
        """Runs a cell in it, and then stops what that left in the background.  A fault of the script is in the result; only a stop is raised."""


class FreshResult(NamedTuple):
    """`error` is None where the cell came to its end; `printed` is what it wrote, in all."""

    values: list[Value]
    printed: str
    error: SpellError | None


class StateLife:
    """A script state from its first cell until it is forgotten, also where it was lost and restored in between.

    What a bridge keeps by it in a WeakKeyDictionary ends with it: another state of the same name has another one.
    """

    __slots__ = ("__weakref__",)


class Context(Protocol):
    """What a call may ask of the session; made anew for each effect."""

    call_id: int
    state: str
    life: StateLife
    cell: str
    engine: str
    restoring: bool
    """Is this call made again because its state was lost, or is copied?"""
    depth: int
    """How many calls this one is within: of the bridges that ask it, and of the functions of scripts that they run."""
    ask: str
    """Why who makes this call, by `call(..., ask=...)`, wants the user asked about it; "" where they do not.

    A method with `replay="again"` hands it on to a call that it makes and that is kept, or nobody is asked.
    """

    def chunk(self, text: str) -> None:
        """Text of an answer in progress: shown live and written to the journal."""

    def pieces(self) -> StreamRedactor:
        """For a text that a script gets in pieces: `feed(piece)` and `end()` give them without secrets, also where two pieces share one.

        What is answered at once, shown or written is redacted by the session itself.
        """

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
    ) -> Reservation:
        """Takes from the user's budgets what a call may need at the most; called before anything is sent, and again before each retry.

        `cost_usd` None = the price is not known.  Raises LimitError where a budget does not allow it, and DeniedError for a model that the
        user does not allow.
        """

    def retried(self, *, attempt: int, attempts: int, wait_s: float, error: BridgeError) -> None:
        """An attempt failed with `error`, and after `wait_s` number `attempt` follows, of `attempts` at the most: shown, logged, in the trace."""

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
        """What the call used; shown in the trace, and counted in the budgets in place of the call's oldest open reservation, if there is one.

        `cost_usd` None = the price is not known; `attempts` are the requests that were really sent, 0 where it failed before that; `seconds`
        is the model's own time.
        """

    async def approve(self, what: str, details: Mapping[str, Value]) -> None:
        """Asks the user before the call does something of consequence: `what` in a few words, `details` as they are.

        The question is written by us, with every detail quoted.  Raises DeniedError where the user says no or nobody can be asked.
        """

    def now(self) -> float:
        """The time of day by the clock that scripts see, in seconds since 1970: while calls are recorded or replayed, the cassette's."""

    def passes(self, seconds: float) -> None:
        """So long was the call asked to let pass: clocks of scripts go on by it in a replay, which does not wait."""

    def show(self, shown: Shown) -> None:
        """Shows one of the things of `llmspell_kernel.shown` in the cell's output, such as `Table(rows)`."""

    def clear(self) -> None:
        """Clears the cell's output."""

    def write(self, stream: str, text: str) -> None:
        """Text to the cell's "stdout" or "stderr"."""

    def log(self, level: str, message: str, fields: dict[str, Value]) -> None:
        """An entry of the script's log."""

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
        """Asks a method of any bridge within this call, as the script itself could: policy, budgets, journal, cassette and trace apply.

        `on_text` is told the text of an answer as it comes; `level` is the method's where that is higher, and `capability` what
        policies know it by, where that is not its name.  Raises SpellError.  Only methods with `replay="again"` may ask, or those that are
        never asked twice.

        `ask` is the reason for which the user is asked about the call, whatever the policy says: about the arguments that it is made with,
        after all that may change them.  RefusedError is their no.  A method with `replay="again"` is called in replays too, which ask
        nobody: it finds the reason in its `ctx.ask`.
        """

    def function(self, callback: Callback) -> ScriptFunction:
        """The script's function as one that can be kept and called after this call has ended."""

    def fresh_state(self, engine: str, *, allow: Sequence[str] = ()) -> AbstractAsyncContextManager[FreshState]:
        """A new state under the preset strict that may make the calls `allow` names, and ends with the block.

        What bridges ask in answer to its calls, by `call`, has the grants of the state that asked for it.  Raises ConfigError for an unknown
        engine.
        """

    async def invoke(self, callback: Callback, *args: Value, as_type: Any = Any) -> Any:
        """Calls a function of the script while its cell waits; its first result, or its error raised as ScriptError.

        `as_type` is an annotation, as of a parameter: the result is checked against it and converted, else ArgumentError is raised.
        """
