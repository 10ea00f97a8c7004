"""Notes which lines of a worker follow which, from its first import on.  Runs in the worker process, before its own code and with nothing of ours.

A worker may write no file and is mostly killed, so there is no end at which it could hand anything over.  Each new arc therefore goes into a page
that is shared with a file, made before the worker is confined: what is there stays there, whatever becomes of the process.
"""

from __future__ import annotations

import ctypes
import os
import sys
from types import CodeType, FrameType
from typing import Any

FILE_BYTES = 1 << 20
READ_WRITE, SHARED = 3, 1
"""PROT_READ | PROT_WRITE and MAP_SHARED."""
RESUME = 151
"""A `return` event whose next instruction is this one is a generator's yield (CPython 3.11 and 3.12; other versions give some arcs too many)."""


def start(folder: str, package: str) -> None:
    """Arcs of files below the folder `package` go, as lines `file from to`, into a file of this process's own in `folder`."""
    descriptor = os.open(f"{folder}/{os.getpid()}.arcs", os.O_CREAT | os.O_RDWR, 0o600)
    os.truncate(descriptor, FILE_BYTES)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    # Python's own mmap keeps a descriptor open, which a worker must not have
    address = libc.mmap(None, FILE_BYTES, READ_WRITE, SHARED, descriptor, 0)
    os.close(descriptor)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap failed")
    sys.settrace(Arcs(address, package).called)


class Arcs:
    def __init__(self, address: int, package: str) -> None:
        self._address, self._end = address, address + FILE_BYTES
        self._package = package
        self._known: set[tuple[str, int, int]] = set()
        self._last: dict[FrameType, int] = {}

    def called(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(self._package):
            return None
        # a generator that goes on was left at a line of its own
        self._last[frame] = frame.f_lineno if frame.f_lasti > _first_resume(code) else -code.co_firstlineno
        return self._stepped

    def _stepped(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if event == "line":
            self._note(code.co_filename, self._last[frame], frame.f_lineno)
            self._last[frame] = frame.f_lineno
        elif event == "return":
            last = self._last.pop(frame)
            after = code.co_code[frame.f_lasti + 2 : frame.f_lasti + 3]
            if after != bytes([RESUME]):
                self._note(code.co_filename, last, -code.co_firstlineno)
        return self._stepped

    def _note(self, file: str, before: int, after: int) -> None:
        arc = (file, before, after)
        if arc not in self._known:
            self._known.add(arc)
            text = f"{file} {before} {after}\n".encode()
            if self._address + len(text) < self._end:
                ctypes.memmove(self._address, text, len(text))
                self._address += len(text)


def _first_resume(code: CodeType) -> int:
    return code.co_code.find(bytes([RESUME]))
