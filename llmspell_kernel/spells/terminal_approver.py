"""Asking the user on the terminal that a script was started from.

Rules
- Only where both standard input and standard error are terminals, and this process may read from it: else the answer is no.
- What was typed before the question is thrown away.  Enter, the end of input (Ctrl-D) and everything but y or yes is no.
"""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from ..errors import DeniedError
from ..policy.approval import ApprovalRequest, is_yes

MAX_ANSWER_BYTES = 1_024

Alone = Callable[[], AbstractContextManager[object]]


@contextmanager
def _nothing_held() -> Iterator[None]:
    yield


class TerminalApprover:
    """`alone` is entered around each question: whoever else writes to the terminal holds that back."""

    def __init__(self, alone: Alone = _nothing_held, stdin: TextIO | None = None, screen: TextIO | None = None) -> None:
        self._alone = alone
        self._stdin = stdin
        self._screen = screen

    async def ask(self, request: ApprovalRequest) -> bool:
        stdin, screen = self._stdin or sys.stdin, self._screen or sys.stderr
        descriptor = _terminal(stdin, screen)
        with self._alone():
            termios.tcflush(descriptor, termios.TCIFLUSH)
            encoding = screen.encoding or "utf-8"
            screen.write(request.text.encode(encoding, "backslashreplace").decode(encoding))
            screen.flush()
            try:
                return is_yes(await _line(descriptor))
            except asyncio.CancelledError:
                screen.write("\n")
                raise


def _terminal(stdin: TextIO, screen: TextIO) -> int:
    try:
        descriptor = stdin.fileno()
        if not (os.isatty(descriptor) and screen.isatty()):
            raise DeniedError("standard input is no terminal, so nobody can be asked")
        if os.tcgetpgrp(descriptor) != os.getpgrp():
            raise DeniedError("the command runs in the background of its terminal, so nobody can be asked")
    except (OSError, ValueError, AttributeError) as error:
        raise DeniedError("there is no terminal, so nobody can be asked") from error
    return descriptor


async def _line(descriptor: int) -> str:
    """What is typed until Enter."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    typed = bytearray()

    def read() -> None:
        try:
            piece = os.read(descriptor, MAX_ANSWER_BYTES)
        except OSError:  # the terminal was closed
            piece = b""
        typed.extend(piece)
        if (not piece or b"\n" in piece or len(typed) >= MAX_ANSWER_BYTES) and not ended.done():
            ended.set_result(None)

    loop.add_reader(descriptor, read)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
    whole = typed.endswith(b"\n") and typed.count(b"\n") == 1
    return typed.decode("utf-8", "replace") if whole else ""
