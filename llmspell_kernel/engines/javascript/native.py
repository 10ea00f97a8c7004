"""QuickJS through its exported C functions: one runtime and context, evaluated, called and pumped without any Python object inside.

Rules
- `_quickjs` is loaded only for its shared library; its Python types are not used, so no field offset of theirs matters.  What does matter,
  the shape of a JSValue and the functions below, is tried by `self_test` before the first state is opened.
- Everything that enters or leaves is text or a JSValue held here.  Each JSValue got from the library is freed exactly once.
- The interrupt handler is the only Python that runs while a script runs; it reads one byte and returns.
"""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import _quickjs

from .meter import Meter

EVAL_COMPILE_ONLY, EVAL_ASYNC = 1 << 5, 1 << 7
WRITE_BYTECODE, STRIP_SOURCE, STRIP_DEBUG, READ_BYTECODE = 1 << 0, 1 << 4, 1 << 5, 1 << 0
TAG_INT, TAG_UNDEFINED, TAG_EXCEPTION, TAG_STRING = 0, 3, 6, -7
GO_ON = 0x30
MAX_UNHANDLED = 1000
RESERVE_BYTES = 8 * 1024 * 1024
"""Part of the memory limit that the script cannot use: reports must still be made when it has used up the rest."""
HEADROOM_BYTES = 128 * 1024
"""What a cell of a full state may use beyond what is taken already, so that it can drop what fills the state."""
SMALL_BYTES = 64 * 1024
"""With less than this left, what failed silently has failed for want of memory."""
MAX_USAGE_BYTES = 1024
"""Room for the library's JSMemoryUsage, of which only the first number is read."""


class JSValue(ctypes.Structure):
    """A value of a 64-bit build of the library: a union of pointer, integer and double, then the tag."""

    _fields_ = [("content", ctypes.c_uint64), ("tag", ctypes.c_int64)]
    content: int
    tag: int


class _EvalOptions(ctypes.Structure):
    _fields_ = [("version", ctypes.c_int), ("flags", ctypes.c_int), ("filename", ctypes.c_char_p), ("line", ctypes.c_int)]


# In the first line of a text the library places statements one column to the left, so a cell starts in the third; a first line of 0 is read
# as 1, one of -1 as it is.
_LEAD, _FIRST_LINE = b"\n\n", -1
_UNDEFINED = JSValue(0, TAG_UNDEFINED)
_Interrupt = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_Tracker = ctypes.CFUNCTYPE(None, ctypes.c_void_p, JSValue, JSValue, ctypes.c_bool, ctypes.c_void_p)
_Reallocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_pointer, _size = ctypes.c_void_p, ctypes.c_size_t
_SIGNATURES: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "JS_GetVersion": (ctypes.c_char_p, ()),
    "JS_NewRuntime": (_pointer, ()),
    "JS_FreeRuntime": (None, (_pointer,)),
    "JS_NewContext": (_pointer, (_pointer,)),
    "JS_FreeContext": (None, (_pointer,)),
    "JS_SetMemoryLimit": (None, (_pointer, _size)),
    "JS_SetMaxStackSize": (None, (_pointer, _size)),
    "JS_UpdateStackTop": (None, (_pointer,)),
    "JS_RunGC": (None, (_pointer,)),
    "JS_SetInterruptHandler": (None, (_pointer, _Interrupt, _pointer)),
    "JS_SetHostPromiseRejectionTracker": (None, (_pointer, _Tracker, _pointer)),
    "JS_Eval": (JSValue, (_pointer, ctypes.c_char_p, _size, ctypes.c_char_p, ctypes.c_int)),
    "JS_Eval2": (JSValue, (_pointer, ctypes.c_char_p, _size, ctypes.POINTER(_EvalOptions))),
    "JS_Call": (JSValue, (_pointer, JSValue, JSValue, ctypes.c_int, _pointer)),
    "JS_NewStringLen": (JSValue, (_pointer, ctypes.c_char_p, _size)),
    "JS_NewArrayBuffer": (JSValue, (_pointer, _pointer, _size, _size, _Reallocate, _pointer, ctypes.c_bool)),
    "JS_ToCStringLen2": (_pointer, (_pointer, ctypes.POINTER(_size), JSValue, ctypes.c_bool)),
    "JS_FreeCString": (None, (_pointer, _pointer)),
    "JS_GetException": (JSValue, (_pointer,)),
    "JS_DupValue": (JSValue, (_pointer, JSValue)),
    "JS_FreeValue": (None, (_pointer, JSValue)),
    "JS_EvalFunction": (JSValue, (_pointer, JSValue)),
    "JS_WriteObject": (_pointer, (_pointer, ctypes.POINTER(_size), JSValue, ctypes.c_int)),
    "JS_ReadObject": (JSValue, (_pointer, ctypes.c_char_p, _size, ctypes.c_int)),
    "js_free": (None, (_pointer, _pointer)),
    "JS_ComputeMemoryUsage": (None, (_pointer, _pointer)),
    "JS_ExecutePendingJob": (ctypes.c_int, (_pointer, ctypes.POINTER(_pointer))),
}


def _not_its_own(_opaque: int, _bytes: int, _size_bytes: int) -> None:
    """What the library calls to free lent bytes."""


_leave = _Reallocate(_not_its_own)


class Stopped(Exception):
    """The stop flag was seen while the engine ran."""


class EngineFailure(Exception):
    """The engine could not run one of our own functions: out of memory or out of stack."""


def load_library() -> ctypes.CDLL:
    """The engine's shared library.  Raises OSError or AttributeError where it exports less than is needed."""
    library = ctypes.CDLL(_quickjs.__file__)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


MOST_STACK_BYTES = 4 * 1024 * 1024


def usable_stack_bytes(allowed_bytes: int = MOST_STACK_BYTES) -> int:
    """How deep scripts may recurse: at most half of this process's C stack, which the engine's frames share with ours, between 256 KB and 4 MB.

    A call takes about 1.7 KB of C stack in 0.17, so 4 MB are some 2,400 calls.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    room = MOST_STACK_BYTES if soft == resource.RLIM_INFINITY else min(MOST_STACK_BYTES, soft // 2)
    return max(256 * 1024, min(allowed_bytes, room))


class Realm:
    """One JavaScript runtime with its global object."""

    def __init__(self, library: ctypes.CDLL, memory_bytes: int, stop_address: int, stack_bytes: int = MOST_STACK_BYTES) -> None:
        self._library = library
        self._runtime = library.JS_NewRuntime()
        self._context = library.JS_NewContext(self._runtime) if self._runtime else None
        if not self._context:
            raise MemoryError("the JavaScript engine could not make a context")
        self.memory_bytes = memory_bytes
        self._usual_bytes = self._script_bytes = memory_bytes - min(RESERVE_BYTES, memory_bytes // 4)
        self._is_full = False
        self._stack_bytes = usable_stack_bytes(stack_bytes)
        self.meter = Meter()
        self._stop_error: JSValue | None = None
        self._stop = ctypes.c_ubyte.from_address(stop_address)
        self._stopped = False
        self._mode = "obey"  # "obey" the stop flag, "ignore" it, or "end" whatever runs
        self._unhandled: dict[int, tuple[JSValue, JSValue]] = {}
        self._owned: list[JSValue] = []
        # kept as attributes: the library holds bare pointers to them
        self._on_interrupt = _Interrupt(self._interrupt)
        self._on_rejection = _Tracker(self._rejection)
        library.JS_SetInterruptHandler(self._runtime, self._on_interrupt, None)
        library.JS_SetHostPromiseRejectionTracker(self._runtime, self._on_rejection, None)
        self._limit(self._script_bytes)
        library.JS_SetMaxStackSize(self._runtime, self._stack_bytes)

    def note_full(self) -> None:
        """The script met its limit: until it has dropped something, each of its cells gets a little of the reserve."""
        self._is_full = True

    def has_room(self) -> bool:
        """Is there memory left for the engine's own small things, such as the rejection of a promise?"""
        return self.used_bytes() + SMALL_BYTES <= self._script_bytes

    def make_room(self) -> None:
        """To be called before a cell.  In a full state the limit lies a little above what is taken, so that `delete globalThis.x` can run;
        half of the reserve may go this way before nothing is left to give."""
        if not self._is_full:
            return
        self.collect_garbage()
        room = self.used_bytes() + HEADROOM_BYTES
        self._is_full = room > self._usual_bytes
        self._script_bytes = max(self._usual_bytes, min(room, (self._usual_bytes + self.memory_bytes) // 2))
        self._limit(self._script_bytes)

    def used_bytes(self) -> int:
        """What the state takes; counted by a walk over all its objects, so only where the answer matters."""
        usage = (ctypes.c_int64 * (MAX_USAGE_BYTES // 8))()
        self._library.JS_ComputeMemoryUsage(self._runtime, ctypes.byref(usage))
        return int(usage[0])

    # -- what runs inside the engine's calls --------------------------------------------------------------------------------------------------

    def _interrupt(self, _runtime: int, _opaque: int) -> int:
        self.meter.note_poll()
        if self._mode == "obey":
            met = self.meter.polled()
            if self._stop.value == GO_ON and not met:
                return 0
            self._stopped = True
            return 1
        return int(self._mode == "end")

    def _rejection(self, _context: int, promise: JSValue, reason: JSValue, handled: bool, _opaque: int) -> None:
        key = promise.content
        if handled:
            held = self._unhandled.pop(key, None)
            if held is not None:
                self._free(*held)
        elif self._mode != "end" and len(self._unhandled) < MAX_UNHANDLED and key not in self._unhandled:
            copy = self._library.JS_DupValue
            # the promise is held too: its address is the key
            self._unhandled[key] = (copy(self._context, promise), copy(self._context, reason))

    # -- steps --------------------------------------------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """To be called at the start of each step: forgets an earlier stop and tells the engine where this thread's stack is."""
        self._stopped = False
        self.meter.clear()
        self._forget_stop_error()
        self._library.JS_UpdateStackTop(self._runtime)

    def check(self) -> None:
        """Raises Stopped if the stop flag is raised or was seen."""
        if self._stopped or self._stop.value != GO_ON:
            raise Stopped

    def load(self, compiled: bytes) -> JSValue:
        """The value of one of our own scripts, as `compiled` made it; held by the realm until `drop`."""
        library, context = self._library, self._context
        value = library.JS_ReadObject(context, compiled, len(compiled), READ_BYTECODE)
        if value.tag != TAG_EXCEPTION:
            value = library.JS_EvalFunction(context, value)
        if value.tag == TAG_EXCEPTION:
            raise EngineFailure(self._exception_text())
        return self.keep(value)

    def compiled(self, source: str, name: str) -> bytes:
        """One of our own scripts for `load`, without its text: a state opens ten times faster than by parsing, and is half as large."""
        data, length, library = source.encode(), _size(), self._library
        value = library.JS_Eval(self._context, data, len(data), name.encode(), EVAL_COMPILE_ONLY)
        if value.tag == TAG_EXCEPTION:
            raise EngineFailure(f"{name}: {self._exception_text()}")
        pointer = library.JS_WriteObject(self._context, ctypes.byref(length), value, WRITE_BYTECODE | STRIP_SOURCE | STRIP_DEBUG)
        self._free(value)
        if not pointer:
            raise EngineFailure(f"{name}: {self._exception_text()}")
        try:
            return ctypes.string_at(pointer, length.value)
        finally:
            library.js_free(self._context, pointer)

    def evaluate(self, code: bytes, chunk: str) -> tuple[bool, JSValue]:
        """Runs a cell: (True, the promise of {value}) or (False, the error).  The caller frees it."""
        return self._evaluated(code, chunk, EVAL_ASYNC)

    def evaluate_expression(self, code: bytes, chunk: str) -> tuple[bool, JSValue]:
        """(True, the value) or (False, the error).  The caller frees it."""
        return self._evaluated(code, chunk, 0)

    def _evaluated(self, code: bytes, chunk: str, flags: int) -> tuple[bool, JSValue]:
        value = self._evaluate_cell(code, chunk, flags)
        result = (False, self._exception()) if value.tag == TAG_EXCEPTION else (True, value)
        try:
            self.check()
        except Stopped:
            self._keep_stop_error(result[1])
            raise
        return result

    def _evaluate_cell(self, code: bytes, chunk: str, flags: int) -> JSValue:
        text = _LEAD + code
        options = _EvalOptions(1, flags, chunk.encode("utf-8", "replace").replace(b"\0", b"?"), _FIRST_LINE)
        value: JSValue = self._library.JS_Eval2(self._context, text, len(text), ctypes.byref(options))
        return value

    def compiles(self, code: bytes) -> JSValue | None:
        """None where the code could be run, else the error.  Runs nothing.  The caller frees it."""
        value = self._evaluate_cell(code, "<input>", EVAL_ASYNC | EVAL_COMPILE_ONLY)
        if value.tag == TAG_EXCEPTION:
            return self._exception()
        self._free(value)
        return None

    def pump(self) -> JSValue | None:
        """Runs promise jobs until none is left.  Returns the error of a job that threw (the caller frees it, and pumps again)."""
        run_job, context = self._library.JS_ExecutePendingJob, ctypes.byref(_pointer())
        while True:
            self.check()
            done = run_job(self._runtime, context)
            if done == 0:
                return None
            if done < 0:
                error = self._exception()
                try:
                    self.check()
                except Stopped:
                    self._keep_stop_error(error)
                    raise
                return error

    def call(self, function: JSValue, *arguments: str | JSValue) -> bytes:
        """Calls one of our own functions: its text as UTF-8.  Raises Stopped or EngineFailure."""
        result = self.apply(function, *arguments)
        try:
            return self._text(result)
        finally:
            self._free(result)

    def apply(self, function: JSValue, *arguments: str | JSValue) -> JSValue:
        """Calls one of our own functions, with the memory that is held in reserve.  The caller frees the result."""
        library, context = self._library, self._context
        made = [argument if isinstance(argument, JSValue) else self._string(argument) for argument in arguments]
        self._limit(self.memory_bytes)
        try:
            result: JSValue = library.JS_Call(context, function, _UNDEFINED, len(made), (JSValue * len(made))(*made))
        finally:
            self._limit(self._script_bytes)
            for value, argument in zip(made, arguments, strict=True):
                if value is not argument:
                    self._free(value)
        if result.tag == TAG_EXCEPTION:
            if self._stopped:
                self._keep_stop_error(self._exception())
                raise Stopped
            text = self._exception_text()
            if self._mode == "obey":
                self.check()
            raise EngineFailure(text)
        return result

    @property
    def stop_error(self) -> JSValue | None:
        """What the engine threw where it was stopped; held by the realm until the next step."""
        return self._stop_error

    def _keep_stop_error(self, value: JSValue) -> None:
        self._forget_stop_error()
        self._stop_error = value

    def _forget_stop_error(self) -> None:
        held, self._stop_error = self._stop_error, None
        if held is not None:
            self._free(held)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """For calls that touch nothing of the script: they run although the stop flag is raised."""
        self._mode = "ignore"
        try:
            yield
        finally:
            self._mode = "obey"

    def discard_jobs(self) -> None:
        """Ends what a stopped cell left in the job queue: its promise loops must not go on in the next cell.

        The library cannot empty the queue, so the jobs are run where they get nowhere: every call overflows a stack of one byte, also the
        one that `await` makes, and what loops without a call is ended by the interrupt handler.  (Refusing memory as well would end them
        sooner, but the library aborts the process when it cannot settle a promise.)
        """
        library = self._library
        context = ctypes.byref(_pointer())
        self._mode = "end"
        library.JS_SetMaxStackSize(self._runtime, 1)
        try:
            while (done := library.JS_ExecutePendingJob(self._runtime, context)) != 0:
                if done < 0:
                    self._free(self._exception())
        finally:
            library.JS_SetMaxStackSize(self._runtime, self._stack_bytes)
            self._mode = "obey"
            self.forget_rejections()

    def first_rejection(self) -> JSValue | None:
        """The reason of the oldest promise that was rejected and has no handler; held by the realm."""
        return next((reason for _, reason in self._unhandled.values()), None)

    def rejections(self) -> list[JSValue]:
        """The reasons of all such promises, oldest first; held by the realm until `forget_rejections`."""
        return [reason for _, reason in self._unhandled.values()]

    def forget_rejections(self) -> None:
        held, self._unhandled = self._unhandled, {}
        for pair in held.values():
            self._free(*pair)

    def collect_garbage(self) -> None:
        self._library.JS_RunGC(self._runtime)

    def lend(self, data: ctypes.Array[Any]) -> JSValue:
        """An ArrayBuffer of bytes that stay where they are.  They must outlive the realm, and no script may get hold of it."""
        value: JSValue = self._library.JS_NewArrayBuffer(self._context, data, ctypes.sizeof(data), 0, _leave, None, False)
        if value.tag == TAG_EXCEPTION:
            raise EngineFailure(self._exception_text())
        return self.keep(value)

    def keep(self, value: JSValue) -> JSValue:
        """Takes a value over until the realm is closed."""
        self._owned.append(value)
        return value

    def drop(self, value: JSValue) -> None:
        """Gives up what the realm keeps."""
        self._owned.remove(value)
        self._free(value)

    def release(self, value: JSValue) -> None:
        self._free(value)

    def close(self) -> None:
        """Frees everything.  A value that a fault of the library leaked is lost memory, not an abort (tried on 0.17)."""
        if self._context is None:
            return
        self._mode = "end"
        self.forget_rejections()
        self._forget_stop_error()
        for value in self._owned:
            self._free(value)
        self._library.JS_FreeContext(self._context)
        self._library.JS_FreeRuntime(self._runtime)
        self._context = None

    # -- values -------------------------------------------------------------------------------------------------------------------------------

    def _limit(self, limit_bytes: int) -> None:
        self._library.JS_SetMemoryLimit(self._runtime, limit_bytes)

    def _free(self, *values: JSValue) -> None:
        for value in values:
            self._library.JS_FreeValue(self._context, value)

    def _string(self, text: str) -> JSValue:
        data = text.encode()
        value: JSValue = self._library.JS_NewStringLen(self._context, data, len(data))
        if value.tag == TAG_EXCEPTION:
            self._free(self._exception())
            raise EngineFailure("out of memory")
        return value

    def _exception(self) -> JSValue:
        value: JSValue = self._library.JS_GetException(self._context)
        return value

    def _text(self, value: JSValue) -> bytes:
        length = _size()
        self._limit(self.memory_bytes)
        pointer = self._library.JS_ToCStringLen2(self._context, ctypes.byref(length), value, False)
        self._limit(self._script_bytes)
        if not pointer:
            self._free(self._exception())
            raise EngineFailure("out of memory")
        try:
            return ctypes.string_at(pointer, length.value)
        finally:
            self._library.JS_FreeCString(self._context, pointer)

    def _exception_text(self) -> str:
        """The pending exception as text; only for errors of our own scripts and of the engine, as it may run a script's toString."""
        error = self._exception()
        mode, self._mode = self._mode, "end"
        try:
            return self._text(error).decode("utf-8", "replace")
        except EngineFailure:
            return "an error that cannot be read"
        finally:
            self._mode = mode
            self._free(error)


def compile_all(library: ctypes.CDLL, sources: Sequence[tuple[str, str]]) -> list[bytes]:
    """Our own scripts, (name, text) each, for `Realm.load`."""
    flag = ctypes.c_ubyte(GO_ON)
    realm = Realm(library, 32 * 1024 * 1024, ctypes.addressof(flag))
    try:
        return [realm.compiled(text, name) for name, text in sources]
    finally:
        realm.close()


def self_test(library: ctypes.CDLL) -> bool:
    """Does this build of the library work the way Realm uses it?  Never true by accident: values, errors, await, stop, strings."""
    flag = ctypes.c_ubyte(GO_ON)
    realm = Realm(library, 32 * 1024 * 1024, ctypes.addressof(flag))
    try:
        return (
            _calls_work(realm)
            and _await_works(realm)
            and _memory_is_counted(realm)
            and _bytes_are_lent(library)
            and _stop_works(realm, flag)
        )
    finally:
        flag.value = GO_ON
        realm.close()


def _loaded(realm: Realm, source: str) -> JSValue:
    return realm.load(realm.compiled(source, "test"))


def _bytes_are_lent(library: ctypes.CDLL) -> bool:
    flag, data = ctypes.c_ubyte(GO_ON), (ctypes.c_char * 100_000).from_buffer_copy(b"ab" * 50_000)
    realm = Realm(library, 32 * 1024 * 1024, ctypes.addressof(flag))
    try:
        read = _loaded(realm, "(lent) => lent instanceof ArrayBuffer ? String(new Uint8Array(lent).lastIndexOf(97)) : ''")
        before = realm.used_bytes()
        text = realm.call(read, realm.lend(data))
        taken = realm.used_bytes() - before
    finally:
        realm.close()
    return text == b"99998" and taken < 10_000 and data.raw == b"ab" * 50_000


def _memory_is_counted(realm: Realm) -> bool:
    before = realm.used_bytes()
    _loaded(realm, "'x'.repeat(1000000)")
    return 1_000_000 <= realm.used_bytes() - before <= 1_100_000


def _calls_work(realm: Realm) -> bool:
    echo = _loaded(realm, "(text) => text + '\\0' + 'é'")
    return realm.call(echo, "a\0b") == "a\0b\0é".encode()


def _await_works(realm: Realm) -> bool:
    ok, promise = realm.evaluate(b"  var x = await 20; x + 1 + missing", "test")
    keep = _loaded(realm, "var seen = ''; (p) => { p.then(null, (e) => { seen = String(e.stack) }) }")
    realm.release(realm.apply(keep, promise))
    realm.release(promise)
    job_error = realm.pump()
    seen = realm.call(_loaded(realm, "() => seen"))
    return ok and job_error is None and b"test:1:29" in seen and realm.first_rejection() is None


def _stop_works(realm: Realm, flag: ctypes.c_ubyte) -> bool:
    flag.value = 0x31
    try:
        realm.evaluate(b"for (;;) { try { for (;;) {} } catch (e) {} }", "test")
    except Stopped:
        return True
    return False
