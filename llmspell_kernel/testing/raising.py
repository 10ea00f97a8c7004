"""A bridge that raises whatever there is to raise: what a stranger's bridge may do to a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.errors import BridgeError, DeniedError, LimitError, ScriptError


class Unprintable(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class OwnBase(BaseException):
    """No Exception at all."""


def _deep() -> BaseException:
    try:
        return _deep()
    except RecursionError as error:
        return error


def _with_frames() -> BaseException:
    return RuntimeError('it broke\nTraceback (most recent call last):\n  File "/srv/host/secret.py", line 3, in f\n    f()')


MAKERS: Mapping[str, Callable[[], BaseException]] = {
    "exception": lambda: ValueError("no luck"),
    "empty": RuntimeError,
    "base": lambda: OwnBase("not an exception"),
    "exit": lambda: SystemExit(3),
    "keyboard": KeyboardInterrupt,
    "generator_exit": GeneratorExit,
    "recursion": _deep,
    "memory": MemoryError,
    "group": lambda: ExceptionGroup("several", [ValueError("one"), OSError(13, "Permission denied", "/root/secret.txt")]),
    "base_group": lambda: BaseExceptionGroup("all", [KeyboardInterrupt(), ValueError("two")]),
    "path": lambda: FileNotFoundError(2, "No such file or directory", "/home/someone/keys.txt"),
    "path_in_text": lambda: ValueError("cannot read /home/someone/.config/keys.txt: denied"),
    "frames": _with_frames,
    "unprintable": Unprintable,
    "surrogate": lambda: ValueError("\udc80"),
    "stop_iteration": StopIteration,
    "stop_async_iteration": StopAsyncIteration,
    "timeout": lambda: TimeoutError("late"),
    "connection": lambda: ConnectionResetError(104, "Connection reset by peer"),
    "bridge": lambda: BridgeError("down", code="down", retryable=True),
    "denied": lambda: DeniedError("not that", capability="raising.raise"),
    "limit": lambda: LimitError("too much", limit="things", value=3, used=4),
    "script": lambda: ScriptError("not so", code="mine"),
}
"""By name, what the method `throw` raises."""


class Raising(Bridge):
    """Raises what it is asked for."""

    name = "raising"

    @method
    async def throw(self, ctx: Context, kind: str) -> None:
        """Raises the error of that name in MAKERS."""
        raise MAKERS[kind]()

    @method
    async def after_text(self, ctx: Context, kind: str) -> None:
        """The same, after a piece of text."""
        ctx.chunk("some text")
        raise MAKERS[kind]()
