"""A filter of system calls: what a worker may ask the kernel for once it holds nothing but its channels and its memory.

Rules
- A refused call fails with EPERM; the process goes on, and what asked for it gets its error.
- One of another architecture (32-bit calls on a 64-bit kernel have other numbers) ends the process.
- Numbers from 424 on are the same everywhere, and nothing a worker loads needs one: they are answered as by a kernel of before 5.1 (ENOSYS), so
  that io_uring, pidfd, clone3, openat2 and all that is still to come need no line here.  Programs know that answer, and do without.
- A signal may be sent to nobody but the worker itself; limits may be read, not set.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterable
from typing import NamedTuple

from .system_calls import ARCHITECTURES, DENIED, FIRST_NEW, GET_LIMIT, NEEDED, SIGNAL_SELF, Architecture
from .unavailable import Unavailable, system_call

SET_MODE_FILTER = 1
ALLOW, ERROR, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
"""Offsets in the kernel's seccomp_data."""


class Instruction(NamedTuple):
    """One of classic BPF: `if_true` and `if_false` say how many of the next ones to pass over."""

    code: int
    value: int
    if_true: int = 0
    if_false: int = 0


REFUSE = Instruction(RETURN, ERROR | errno.EPERM)
PERMIT = Instruction(RETURN, ALLOW)


def deny_what_harms() -> None:
    """All but DENIED goes on: what another libc or Python may need is not known here."""
    _install(program(_here(), os.getpid(), DENIED, REFUSE, PERMIT))


def allow_what_is_needed() -> None:
    """Nothing but NEEDED goes on."""
    _install(program(_here(), os.getpid(), NEEDED, PERMIT, REFUSE))


def program(machine: Architecture, pid: int, calls: Iterable[str], verdict: Instruction, otherwise: Instruction) -> list[Instruction]:
    """The filter: `verdict` for `calls`, `otherwise` for the rest, between what holds for every list."""
    return [
        Instruction(LOAD, ARCHITECTURE_AT),
        Instruction(JUMP_IF_EQUAL, machine.audit_number, 1, 0),
        Instruction(RETURN, KILL_PROCESS),
        Instruction(LOAD, NUMBER_AT),
        Instruction(JUMP_IF_AT_LEAST, FIRST_NEW, 0, 1),
        Instruction(RETURN, ERROR | errno.ENOSYS),
        *(step for name in SIGNAL_SELF for step in _if_argument_is(machine.numbers[name], 0, pid)),
        # prlimit(0, what, no new limit, ...): both halves of the pointer
        *_if_argument_is(machine.numbers[GET_LIMIT], 0, 0, ARGUMENTS_AT + 16, ARGUMENTS_AT + 20),
        *(step for name in calls if name in machine.numbers for step in (Instruction(JUMP_IF_EQUAL, machine.numbers[name], 0, 1), verdict)),
        otherwise,
    ]


def _if_argument_is(number: int, argument: int, value: int, *zero: int) -> list[Instruction]:
    """Permits a call whose argument has that value and whose words at the offsets `zero` are 0; refuses it with any other.

    A process id is 32 bits: the kernel looks at no more of the argument either.
    """
    tests = [(ARGUMENTS_AT + 8 * argument, value), *((at, 0) for at in zero)]
    steps = [PERMIT]
    for at, wanted in reversed(tests):
        steps = [Instruction(LOAD, at), Instruction(JUMP_IF_EQUAL, wanted, 0, len(steps)), *steps]
    body = [*steps, REFUSE]
    return [Instruction(JUMP_IF_EQUAL, number, 0, len(body)), *body]


def _here() -> Architecture:
    if sys.platform != "linux":
        raise Unavailable("only Linux has seccomp")
    machine = ARCHITECTURES.get(machine_name := os.uname().machine)
    if machine is None or sys.maxsize < 2**32:
        raise Unavailable(f"its system calls are not known for this processor ({machine_name}), only for {', '.join(ARCHITECTURES)}")
    return machine


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def _install(steps: list[Instruction]) -> None:
    code = b"".join(struct.pack("=HBBI", step.code, step.if_true, step.if_false, step.value) for step in steps)
    try:
        system_call(_here().numbers["seccomp"], SET_MODE_FILTER, 0, ctypes.byref(_Program(len(steps), code)))
    except OSError as error:
        absent = error.errno in (errno.ENOSYS, errno.EINVAL)
        raise Unavailable("this kernel has no seccomp filters" if absent else f"the kernel refused it: {error.strerror}") from error
