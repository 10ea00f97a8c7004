"""The filter of system calls as data: run by a small reader of BPF, it decides for both architectures what only one can be asked."""

from __future__ import annotations

import errno
import re
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from shutil import which

import pytest

from llmspell_kernel.workers.confinement.seccomp import (
    ALLOW,
    ERROR,
    JUMP_IF_AT_LEAST,
    JUMP_IF_EQUAL,
    KILL_PROCESS,
    LOAD,
    PERMIT,
    REFUSE,
    RETURN,
    Instruction,
    program,
)
from llmspell_kernel.workers.confinement.system_calls import ARCHITECTURES, DENIED, FIRST_NEW, GET_LIMIT, NEEDED, SIGNAL_SELF, Architecture

PID = 4711
DENY, MISSING = ERROR | errno.EPERM, ERROR | errno.ENOSYS
LISTS = {"standard": (DENIED, REFUSE, PERMIT), "strict": (NEEDED, PERMIT, REFUSE)}
HEADERS = Path("/usr/include")


def decision(steps: Sequence[Instruction], audit_number: int, number: int, *arguments: int) -> int:
    """What the kernel would do, by seccomp(2) and the three instructions that the filter uses."""
    data = struct.pack("<IIQ6Q", number, audit_number, 0, *(*arguments, *(0,) * 6)[:6])
    at = accumulator = 0
    while True:
        step = steps[at]
        at += 1
        match step.code:
            case code if code == RETURN:
                return step.value
            case code if code == LOAD:
                (accumulator,) = struct.unpack_from("<I", data, step.value)
            case code if code == JUMP_IF_EQUAL:
                at += step.if_true if accumulator == step.value else step.if_false
            case code if code == JUMP_IF_AT_LEAST:
                at += step.if_true if accumulator >= step.value else step.if_false
            case other:
                raise AssertionError(f"no such instruction: {other}")


machines = pytest.mark.parametrize("machine", ARCHITECTURES.values(), ids=ARCHITECTURES)
lists = pytest.mark.parametrize("of", LISTS)


@machines
@lists
def test_every_listed_call_gets_the_verdict_of_its_list(machine: Architecture, of: str) -> None:
    calls, verdict, otherwise = LISTS[of]
    steps = program(machine, PID, *LISTS[of])
    for name, number in machine.numbers.items():
        if name not in (*SIGNAL_SELF, GET_LIMIT):
            wanted = verdict if name in calls else otherwise
            assert decision(steps, machine.audit_number, number) == wanted.value, name


@machines
@lists
def test_a_signal_goes_to_the_worker_alone_and_limits_are_only_read(machine: Architecture, of: str) -> None:
    steps = program(machine, PID, *LISTS[of])

    def decide(name: str, *arguments: int) -> int:
        return decision(steps, machine.audit_number, machine.numbers[name], *arguments)

    for name in SIGNAL_SELF:
        assert decide(name, PID) == ALLOW
        for other in (0, 1, PID + 1, 2**32 - 1, 2**32 - PID):
            assert decide(name, other) == DENY
    assert decide(GET_LIMIT, 0, 3, 0) == ALLOW
    for pid, new_limit in ((1, 0), (PID, 0), (0, 1), (0, 2**32), (0, 2**47)):
        assert decide(GET_LIMIT, pid, 3, new_limit) == DENY


@machines
@lists
def test_later_calls_do_not_exist_and_another_architecture_ends_the_process(machine: Architecture, of: str) -> None:
    steps = program(machine, PID, *LISTS[of])
    x32 = 0x4000_0000
    for number in (FIRST_NEW, FIRST_NEW + 40, x32, x32 + 1, 2**32 - 1):
        assert decision(steps, machine.audit_number, number) == MISSING
    assert decision(steps, 0x40000003, machine.numbers["read"]) == KILL_PROCESS


@machines
@lists
def test_every_jump_fits_and_every_path_ends(machine: Architecture, of: str) -> None:
    steps = program(machine, PID, *LISTS[of])
    assert steps[-1].code == RETURN and len(steps) <= 4096
    for at, step in enumerate(steps):
        assert all(jump < 256 and at + 1 + jump < len(steps) for jump in (step.if_true, step.if_false)) or step.code == RETURN


def test_no_call_is_both_denied_and_needed_and_each_has_a_number_somewhere() -> None:
    assert set(DENIED).isdisjoint(NEEDED)
    known = {name for machine in ARCHITECTURES.values() for name in machine.numbers}
    assert known == {*DENIED, *NEEDED, *SIGNAL_SELF, GET_LIMIT}
    for machine in ARCHITECTURES.values():
        assert len(set(machine.numbers.values())) == len(machine.numbers) and max(machine.numbers.values()) < FIRST_NEW


def test_the_numbers_are_those_of_the_kernels_headers() -> None:
    own = next(iter(HEADERS.glob("*/asm/unistd_64.h")), None)
    generic = HEADERS / "asm-generic" / "unistd.h"
    if own is None or not generic.exists() or which("cc") is None:
        pytest.skip("the kernel's headers or a C compiler are not installed here")
    assert agrees(ARCHITECTURES["x86_64"], defined(own.read_text()))
    wanted = ["RENAMEAT", "NEW_STAT", "SET_GET_RLIMIT", "SYS_CLONE3", "TIME32_SYSCALLS"]
    flags = [*(f"-D__ARCH_WANT_{name}" for name in wanted), "-D__BITS_PER_LONG=64", "-D__LP64__"]
    text = re.sub("#include.*", "", generic.read_text())
    done = subprocess.run(["cc", "-E", "-dM", *flags, "-x", "c", "-"], input=text, capture_output=True, text=True, timeout=60, check=True)
    assert agrees(ARCHITECTURES["aarch64"], defined(done.stdout))


def defined(text: str) -> dict[str, int]:
    """Numbers of a header, also those that are given by another name (`__NR_fstat __NR3264_fstat`)."""
    words = dict(re.findall(r"#define (__NR\w+) (\w+)", text))
    for name, value in words.items():
        while value in words:
            value = words[value]
        words[name] = value
    return {name.removeprefix("__NR_"): int(value) for name, value in words.items() if name.startswith("__NR_") and value.isdigit()}


def agrees(machine: Architecture, header: dict[str, int]) -> bool:
    assert len(header) > 250
    assert {name: header.get(name) for name in machine.numbers} == dict(machine.numbers)
    missing = {name for name in (*DENIED, *NEEDED) if name not in machine.numbers} & header.keys()
    assert not missing
    return True
