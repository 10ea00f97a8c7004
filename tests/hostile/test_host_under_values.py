"""Values of hundreds of thousands of small objects neither fill the host's memory nor keep its event loop from answering."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_kernel.policy.limits import PRESETS, MiB

from ..session.world import ENGINES

ROOT = Path(__file__).parents[2]
MEMORY_PER_BYTE = 4
"""What counts one byte of a limit takes so many in the host."""
MORE = 48 * MiB
"""Texts on their way, what a thread works with, and what Python does not give back at once."""
HELD_S = 0.25
"""An interrupt has 300 ms."""
HONEST = ("display", "table", "result")
"""A worker that is asked for a global is lost where it takes long, as it may on a busy machine."""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the most memory that a process ever had from /proc")
@pytest.mark.parametrize("preset", ["strict", pytest.param("standard", marks=pytest.mark.slow)])
@pytest.mark.parametrize("engine", ENGINES)
def test_values_of_very_many_objects_cost_the_host_what_its_limits_say_and_its_event_loop_answers(engine: str, preset: str) -> None:
    """In a fresh process: before, six calls made it 1.3 GB large, and it answered nobody for seven seconds."""
    command = [sys.executable, "-m", "tests.hostile.host_under_values", engine, preset]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    limits = PRESETS[preset]
    assert found["grew_bytes"] < MEMORY_PER_BYTE * (limits.call_bytes + limits.value_bytes) + MORE
    assert {name: held_s for name, held_s in found["held_s"].items() if held_s > HELD_S} == {}
    ended = found["ended"]
    assert {ended[f"{name} over"] for name in ("six at once", "result")} == {"value_bytes"}
    assert ended["six at once under"] == "call_bytes"
    assert {ended[f"{name} under"] for name in HONEST} == {""}
