"""JavaScript behind the engine interface: one runtime a state, steps made by pumping promise jobs, reports read as JSON.

Rules
- Whatever a script does, `start` and `resume` return a step: a stop, a full memory and a broken report are faults, never exceptions.
- A cell ends when its promise is settled, no job is left and no effect or invocation is open; a rejection nobody handled is then its error.
- While work of `async.background` lives, a cell ends as soon as its own promise is settled: whatever is still open lingers, as the engine
  cannot tell which function asked for it.  An ordinary failure of a cell keeps it; a stop or a limit ends all of it.
- After a stop nothing of the state goes on: its jobs are discarded, answers to its effects find no one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ...errors import ConfigError, ScriptError, ValueCrossingError
from ...protocol.steps import (
    Allowance,
    Answer,
    Background,
    Effect,
    Failed,
    Fault,
    Finished,
    Invocation,
    Place,
    QueryKind,
    Returned,
    Step,
    Suspended,
)
from ...values import MAX_ITEMS
from .._engine import Emit, Options, StopFlag
from .._full import memory_full
from .._source import MAX_SOURCE_BYTES, too_long
from .completeness import status
from .meter import Undisturbed
from .native import EngineFailure, JSValue, Realm, Stopped, compile_all, load_library, self_test
from .rewrite import Insertion, Rewritten, is_module, rewrite
from .sources import Sources

NOTHING_LEFT = Fault(code="script", name="Error", message="nothing left to wait for: the cell awaits a promise that nothing can settle")

ENDING = ("interrupted", "limit")
"""Codes of faults after which nothing of the state goes on."""
MAX_FAILED = 20
"""Errors of background work that are kept until the next step that can tell them."""
LATE = {
    "late/encoding.js": ["TextEncoder", "TextDecoder", "base64"],
    "late/cloning.js": ["structuredClone"],
    "late/crypto.js": ["crypto", "uuid"],
    "late/text.js": ["text"],
    "late/lists.js": ["lists"],
    "vendored/urls.js": ["URL", "URLSearchParams"],
}
"""Files whose globals are made when a script first names one."""
MODULE_HEAD, MODULE_TAIL = b"(async function (module, exports, require) {", b"\n})"

_NONE = msgspec.Raw(b"")  # msgspec takes no `Raw | None`
_here = Path(__file__).parent


class _Fault(msgspec.Struct, frozen=True):
    """An error as the prelude describes it; `stack` is the engine's text, `effect` the id of the effect whose failure it is (0 = none)."""

    code: str
    name: str
    message: str
    stack: str
    retryable: bool
    effect: int = 0


class _Returned(msgspec.Struct, frozen=True):
    id: int
    value: msgspec.Raw = msgspec.Raw(b"null")
    fault: _Fault | None = None


class _Outcome(msgspec.Struct, frozen=True):
    values: msgspec.Raw = _NONE
    fault: _Fault | None = None


class _Module(msgspec.Struct, frozen=True):
    """A module whose text has come: to be compiled."""

    id: int
    name: str
    source: str


class _Report(msgspec.Struct):
    """What happened since the last one.  `open` counts the effects a cell waits for, `quiet` those it does not, `calls` the functions that the
    host called and that have not returned, `tasks` what lives in the background."""

    open: int
    quiet: int
    calls: int
    tasks: int
    printed: list[tuple[int, str]] = []
    effects: list[Effect] = []
    returned: list[_Returned] = []
    abandoned: list[int] = []
    modules: list[_Module] = []
    failed: list[_Fault] = []
    outcome: _Outcome | None = None


class _Lingering(msgspec.Struct, frozen=True):
    open: list[int]
    tasks: list[str]


class _Reply(msgspec.Struct, frozen=True):
    value: msgspec.Raw = _NONE
    fault: _Fault | None = None


_decode_report = msgspec.json.Decoder(_Report).decode
_decode_lingering = msgspec.json.Decoder(_Lingering).decode
_decode_printed = msgspec.json.Decoder(list[tuple[int, str]]).decode
_decode_fault = msgspec.json.Decoder(_Fault).decode
_decode_reply = msgspec.json.Decoder(_Reply).decode
_encode = msgspec.json.Encoder().encode


class JavaScriptEngine:
    def __init__(self, stop: StopFlag, emit: Emit) -> None:
        self._stop = stop
        self._emit = emit
        self._library = _tested_library()
        version = self._library.JS_GetVersion().decode()
        self.facts: Mapping[str, str | bool] = {
            "language_version": "ES2025",
            "library": f"quickjs-ng {version}",
            "soft_interrupt": True,
            "native_eval": True,
            "columns": True,
        }
        self._prelude, *self._parts = _compiled(self._library)
        self._late = [_bytes_to_lend((_here / name).read_text("ascii").encode()) for name in LATE]

    def open(self, options: Options, catalogue: Mapping[str, Any]) -> JavaScriptState:
        realm = Realm(self._library, options.memory_bytes, self._stop.address, options.stack_bytes)
        realm.meter.tell_time(options.time_s)
        try:
            return JavaScriptState(realm, self._emit, self._hooks(realm, options, catalogue))
        except BaseException:
            realm.close()
            raise

    def _hooks(self, realm: Realm, options: Options, catalogue: Mapping[str, Any]) -> Mapping[str, JSValue]:
        """Makes a new realm a script's world: the functions through which the interpreter talks to it."""
        realm.enter()
        with realm.undisturbed():
            prelude, *parts = [realm.load(part) for part in (self._prelude, *self._parts)]
            late = [realm.lend(text) for text in self._late]
            shared = realm.lend(realm.meter.numbers)
            select = realm.apply(prelude, _settings(options, catalogue), shared, *parts, *late)
            hooks = {name: realm.keep(realm.apply(select, name)) for name in _HOOKS}
            realm.release(select)
            realm.release(realm.apply(hooks["ready"]))
            for used in (prelude, *parts):  # each was called once; what it made holds what it needs
                realm.drop(used)
        return hooks


def create_engine(stop: StopFlag, emit: Emit) -> JavaScriptEngine:
    return JavaScriptEngine(stop, emit)


class JavaScriptState:
    def __init__(self, realm: Realm, emit: Emit, hooks: Mapping[str, JSValue]) -> None:
        self._realm = realm
        self._emit = emit
        self._hooks = hooks
        self._sources = Sources()
        self._in_cell = False
        self._passed_on: dict[int, list[Place]] = {}
        """Where a function of the script failed that the host had called, by the effect through which the error came back."""
        self._failed: list[Fault] = []
        """What background work failed with, until a step can tell it."""

    # -- steps --------------------------------------------------------------------------------------------------------------------------------

    def allow(self, allowance: Allowance) -> None:
        self._realm.meter.allow(allowance)

    def tell_time(self, time_s: float) -> None:
        self._realm.meter.tell_time(time_s)

    def start(self, code: str, chunk: str) -> Step:
        return self._step(lambda: self._begin(code, chunk))

    def call(self, function: str, args: msgspec.Raw, chunk: str, callback: int = 0) -> Step:
        return self._step(lambda: self._begin_call(function, callback, bytes(args).decode()))

    def resume(self, answers: Sequence[Answer], invocations: Sequence[Invocation]) -> Step:
        return self._step(lambda: self._answer(answers, invocations))

    def close(self) -> None:
        self._realm.close()

    def _step(self, action: Callable[[], Step | None]) -> Step:
        self._realm.enter()
        try:
            step = action() or self._advance()
        except Stopped:
            step = self._abandon(self._stopped())
        except EngineFailure as error:
            step = self._abandon(Fault(code="limit", name="InternalError", message=f"the engine met its limit: {error}"))
        step = msgspec.structs.replace(step, instructions=self._realm.meter.instructions)
        if not isinstance(step, Suspended):
            self._realm.meter.renew()  # what goes on in the background has the budget of a whole cell
        return step

    def _stopped(self) -> Fault:
        """What stopped the script, and where."""
        met, frames = self._realm.meter.met, self._stopped_at()
        if met is None:
            return Fault(code="interrupted", message="stopped", frames=frames)
        return Fault(code="limit", message="", limit=met.limit, value=met.value, used=met.used, frames=frames)

    def _stopped_at(self) -> list[Place]:
        """The engine knows of each function where it made its last call.  Of the innermost one that is not where it was stopped."""
        error = self._realm.stop_error
        if error is None:
            return []
        with self._realm.undisturbed():
            frames = self._sources.frames(self._call("stack", error).decode())
        if frames:
            frames[0] = Place(frames[0].chunk, 0, 0, frames[0].function)
        return frames

    def _begin(self, code: str, chunk: str) -> Step | None:
        source = code.encode("utf-8", "surrogatepass")
        if len(source) > MAX_SOURCE_BYTES:
            return self._refuse(too_long(len(source)))
        try:
            code.encode()
        except UnicodeEncodeError:
            message = "the source holds a lone surrogate, which is not valid Unicode"
            return self._refuse(Fault(code="script", name="SyntaxError", message=message))
        self._new_cell()
        rewritten = rewrite(source)
        self._sources.add(chunk, rewritten)
        ok, value = self._realm.evaluate(rewritten.code, chunk)
        try:
            if not ok:
                return self._fail(self._not_started(self._describe(value), rewritten.code), self._take())
            self._call("watch", value)
        finally:
            self._realm.release(value)
        return None

    def _begin_call(self, function: str, callback: int, args: str) -> None:
        self._new_cell()
        self._call("call", function, str(callback), args)

    def _new_cell(self) -> None:
        self._realm.make_room()
        self._realm.meter.renew()
        self._call("begin")
        self._in_cell = True
        self._passed_on.clear()

    def _refuse(self, fault: Fault) -> Failed:
        """The cell did not even begin: what goes on in the background does so still."""
        return Failed(fault, self._background(self._take()))

    def _not_started(self, described: _Fault, code: bytes) -> Fault:
        fault = self._fault(described)
        if fault.name == "SyntaxError" and is_module(code):
            message = "a cell is not a module: it can neither import nor export; what a script can use is there as a global"
            return Fault(code=fault.code, name=fault.name, message=message, frames=fault.frames)
        return fault

    def _answer(self, answers: Sequence[Answer], invocations: Sequence[Invocation]) -> None:
        for answer in answers:
            if answer.fault is not None and answer.fault.frames:
                self._passed_on[answer.id] = answer.fault.frames
        text = _encode((answers, invocations))
        self._call("resume", text.decode(), "1" if b'"$"' in text else "0")

    def _advance(self) -> Step:
        """Runs what can run, and says what the cell came to."""
        thrown, report = self._run()
        if not self._in_cell:
            return self._go_on(thrown, report)
        is_settled = report.outcome is not None
        waits = report.open or report.calls or report.returned or (report.quiet and not is_settled)
        if waits and not (is_settled and report.tasks):
            if thrown is not None:
                # an uncaught error of a job: told now, as nothing later would carry it
                return self._fail(thrown, report)
            return Suspended(report.effects, self._returns(report), report.abandoned)
        return self._end(thrown, report)

    def _run(self) -> tuple[Fault | None, _Report]:
        """Runs until nothing can run: the first error that a job threw, and what happened."""
        thrown, report = self._pump(), self._take()
        modules = report.modules
        while modules:
            for module in modules:
                self._compile(module)
            later_thrown, later = self._pump(), self._take()
            thrown, modules = thrown or later_thrown, later.modules
            later.effects = report.effects + later.effects
            later.returned = report.returned + later.returned
            later.abandoned = report.abandoned + later.abandoned
            report = later
        return thrown, report

    def _take(self) -> _Report:
        report: _Report = self._read(_decode_report, self._call("take"))
        self._print(report.printed)
        self._note_failed(report.failed)
        return report

    def _end(self, thrown: Fault | None, report: _Report) -> Step:
        outcome, rejected = report.outcome, self._realm.first_rejection()
        if outcome is not None and outcome.fault is not None:
            return self._fail(self._fault(outcome.fault), report)
        if thrown is None and rejected is not None:
            thrown = self._fault(self._describe(rejected))
        if thrown is not None or outcome is None or not bytes(outcome.values):
            return self._fail(thrown or self._unsettled(), report)
        self._in_cell = False
        return Finished(outcome.values, self._background(report))

    def _unsettled(self) -> Fault:
        """Why a cell's promise stays open.  In a full state the engine drops an error silently, as rejecting a promise takes memory too."""
        if self._realm.has_room():
            return NOTHING_LEFT
        return Fault("limit", memory_full(self._realm.memory_bytes), "InternalError", limit="memory_bytes")

    def _fail(self, fault: Fault, report: _Report) -> Failed:
        """The cell ends with a fault.  Without background work nothing goes on."""
        if fault.code in ENDING or not report.tasks:
            return self._abandon(fault)
        self._in_cell = False
        self._realm.forget_rejections()
        return Failed(fault, self._background(report))

    # -- without a cell -----------------------------------------------------------------------------------------------------------------------

    def _go_on(self, thrown: Fault | None, report: _Report) -> Finished:
        """A slice of background work: its errors are told, as nobody is there to catch them."""
        if thrown is not None:
            self._failed.append(thrown)
        self._note_failed([self._describe(reason) for reason in self._realm.rejections()[:MAX_FAILED]])
        self._realm.forget_rejections()
        return Finished(background=self._background(report))

    def _background(self, report: _Report) -> Background | None:
        """What lives on although its cell is over; None where nothing does."""
        failed, self._failed = self._failed[:MAX_FAILED], []
        if not (report.tasks or report.calls or report.returned or report.open):
            return Background(failed=failed) if failed else None
        lingering: _Lingering = self._read(_decode_lingering, self._call("linger"))
        tasks = lingering.tasks or ["calls that a cell did not await"]
        return Background(report.effects, self._returns(report), report.abandoned, lingering.open, tasks, failed)

    def _note_failed(self, faults: Sequence[_Fault]) -> None:
        self._failed += [self._fault(fault) for fault in faults[:MAX_FAILED]]

    # -- modules ------------------------------------------------------------------------------------------------------------------------------

    def _compile(self, module: _Module) -> None:
        """Makes a module's text a function, in the first line of which only the column has moved."""
        source = module.source.encode()
        if len(source) > MAX_SOURCE_BYTES:
            message = f"the module '{module.name}' is {len(source)} bytes long, over the limit of {MAX_SOURCE_BYTES} bytes"
            self._call("refused", str(module.id), message)
            return
        if source.startswith(b"#!"):
            source = b"//" + source[2:]
        chunk = f"module[{module.name}]"
        code = MODULE_HEAD + source + MODULE_TAIL
        self._sources.add(chunk, Rewritten(code, [Insertion(1, 0, len(MODULE_HEAD))]))
        ok, value = self._realm.evaluate_expression(code, chunk)
        try:
            if ok:
                self._call("compiled", str(module.id), value)
            else:
                self._call("refused", str(module.id), value, IMPORTS if is_module(source) else "")
        finally:
            self._realm.release(value)

    def _pump(self) -> Fault | None:
        """Runs all jobs; the first error that one of them threw (queueMicrotask)."""
        first: Fault | None = None
        while (error := self._realm.pump()) is not None:
            try:
                first = first or self._fault(self._describe(error))
            finally:
                self._realm.release(error)
        return first

    def _abandon(self, fault: Fault) -> Failed:
        """Ends the cell with a fault: nothing of it goes on."""
        self._in_cell = False
        if fault.limit == "memory_bytes":
            self._realm.note_full()
        self._failed.clear()
        self._realm.discard_jobs()
        try:
            with self._realm.undisturbed():
                printed = self._call("abandon")
            self._print(self._read(_decode_printed, printed))
        except EngineFailure as error:
            return Failed(
                Fault(code=fault.code, name=fault.name, message=f"{fault.message} (what it printed is lost: {error})", frames=fault.frames)
            )
        if fault.code in ENDING:
            self._realm.collect_garbage()
        return Failed(fault)

    # -- questions ----------------------------------------------------------------------------------------------------------------------------

    def query(self, kind: QueryKind, text: str, value: bytes) -> bytes:
        self._realm.enter()
        try:
            with Undisturbed(self._realm.meter, self._call_undisturbed):
                return self._answered(kind, text, value)
        except (EngineFailure, UnicodeEncodeError) as error:
            raise ScriptError(f"the engine could not answer: {error}") from None

    def _answered(self, kind: QueryKind, text: str, value: bytes) -> bytes:
        if kind == "is_complete":
            return _encode(self._is_complete(text))
        match kind:
            case "set":
                arguments: tuple[str, ...] = (text, value.decode("utf-8", "replace"))
            case "declare":
                arguments = (text, _change(value))
            case _:
                arguments = (text,)
        try:
            reply: _Reply = self._read(_decode_reply, self._call(kind, *arguments))
        except Stopped:
            if self._realm.meter.asked_too_much:
                raise ScriptError("the state could not answer: it would take too long; ask for a part of it") from None
            raise ScriptError("stopped", code="interrupted") from None
        if bytes(reply.value):
            return bytes(reply.value)
        fault = reply.fault
        if fault is not None and fault.code == "value":
            raise ValueCrossingError(fault.message)
        raise ScriptError(fault.message if fault else "no answer", name=fault.name if fault else "")

    def _is_complete(self, text: str) -> dict[str, str | int]:
        code = text.encode("utf-8", "replace")
        if len(code) > MAX_SOURCE_BYTES:
            return {"status": "invalid", "indent": ""}
        error = self._realm.compiles(rewrite(code).code)
        if error is None:
            return {"status": "complete", "indent": ""}
        try:
            fault = self._describe(error)
        finally:
            self._realm.release(error)
        return status(text, fault.message, fault.stack)

    # -- between here and the prelude ---------------------------------------------------------------------------------------------------------

    def _call_undisturbed(self, hook: str, *arguments: str) -> bytes:
        with self._realm.undisturbed():
            return self._call(hook, *arguments)

    def _call(self, hook: str, *arguments: str | JSValue) -> bytes:
        return self._realm.call(self._hooks[hook], *arguments)

    def _read(self, decode: Callable[[bytes], Any], data: bytes) -> Any:
        try:
            return decode(data)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise EngineFailure(f"a report that cannot be read ({error})") from None

    def _describe(self, thrown: JSValue) -> _Fault:
        fault: _Fault = self._read(_decode_fault, self._call("describe", thrown))
        return fault

    def _fault(self, fault: _Fault) -> Fault:
        frames = self._passed_on.get(fault.effect, []) + self._sources.frames(fault.stack)
        # what comes from the host has an effect, and its own limit there
        limit = "memory_bytes" if fault.code == "limit" and fault.effect == 0 else ""
        message = fault.message
        if fault.name == "ReferenceError" and message.startswith(NO_LOADER):
            message = f"{message}: {NO_IMPORT}"
        elif fault.name == "TypeError" and fault.code == "script":
            message = self._sources.told(message, fault.stack)
        return Fault(code=fault.code, message=message, name=fault.name, frames=frames, retryable=fault.retryable, limit=limit)

    def _returns(self, report: _Report) -> list[Returned]:
        return [self._returned(item) for item in report.returned]

    def _returned(self, item: _Returned) -> Returned:
        return Returned(id=item.id, value=item.value, fault=self._fault(item.fault) if item.fault else None)

    def _print(self, printed: Sequence[tuple[int, str]]) -> None:
        for stream, text in printed:
            self._emit(stream, text.encode())


_HOOKS = (
    "begin",
    "call",
    "watch",
    "describe",
    "ready",
    "resume",
    "compiled",
    "refused",
    "take",
    "linger",
    "abandon",
    "untilPoll",
    "spin",
    "pass",
    "stack",
    "members",
    "get",
    "set",
    "declare",
)
NO_LOADER = "could not load module"
"""What the engine says of import(), which has no loader in any state."""
NO_IMPORT = "a script cannot import; await require(name) loads a module that was registered with the session"
IMPORTS = (
    "a module is loaded by `await require(name)` and gives what it puts in `exports` or `module.exports`; it can neither import nor export"
)


def _compiled(library: ctypes.CDLL) -> Sequence[bytes]:
    """Our own scripts: the prelude, and the parts it is made of."""
    paths = [_here / "prelude.js", _here / "values.js", _here / "inspect.js", *sorted((_here / "prelude").glob("*.js"))]
    return compile_all(library, [(f"llmspell:{path.name}", path.read_text("utf-8")) for path in paths])


def _tested_library() -> ctypes.CDLL:
    """Raises ConfigError for a library this engine cannot use, such as the archived `quickjs` in place of quickjs-ng."""
    mend = "run: pip uninstall -y quickjs; pip install --force-reinstall 'quickjs-ng>=0.17,<0.18'"
    try:
        library = load_library()
    except (OSError, AttributeError) as error:
        raise ConfigError(f"the JavaScript library lacks what this engine needs ({error}); {mend}") from None
    if not self_test(library):
        raise ConfigError(f"the JavaScript library does not pass its self-test; {mend}")
    return library


def _bytes_to_lend(data: bytes) -> ctypes.Array[ctypes.c_char]:
    return (ctypes.c_char * len(data)).from_buffer_copy(data)


def _settings(options: Options, catalogue: Mapping[str, Any]) -> str:
    """What the prelude is told, as JSON."""
    entropy = options.entropy
    seed = options.seed & 0xFFFF_FFFF_FFFF_FFFF
    settings = {
        "seed": [seed & 0xFFFF_FFFF, seed >> 32],
        "entropy": [int(entropy[at : at + 8], 16) for at in range(0, len(entropy), 8)],
        "late": list(LATE.values()),
        "max_value_bytes": options.max_value_bytes,
        "max_value_items": MAX_ITEMS,
        "preset": options.preset,
        "removed": options.removed,
        "memory_full": memory_full(options.memory_bytes),
        **_offered(catalogue),
    }
    return _encode(settings).decode()


def _offered(catalogue: Mapping[str, Any]) -> dict[str, Any]:
    """The methods of a bridge as one text: most are never named, and a list of texts takes several times the memory of each state."""
    return {
        "bridges": {name: " ".join(methods) for name, methods in catalogue.get("bridges", {}).items()},
        **{part: catalogue.get(part, {}) for part in ("resources", "loops", "aliases")},
    }


def _change(catalogue: bytes) -> str:
    """What comes and goes in an open state, as the prelude is told.  Raises ScriptError."""
    try:
        change = msgspec.json.decode(catalogue)
        return _encode({"add": _offered(change.get("add", {})), "remove": change.get("remove", [])}).decode()
    except (msgspec.MsgspecError, AttributeError, TypeError) as error:
        raise ScriptError(f"the engine cannot read what the host declares: {error}") from None
