"""The table of states: every figure against its limit, hostile names harmless, and readable on light and on dark."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.render.status import NO_STATES, SIDE_BY_SIDE, status_bundle

POOL: dict[str, Any] = {"workers": 1, "spares": 1, "most": 64, "waiting": 0, "drained": 0, "memory_bytes": 49 * 1024**2}


def state(**changes: Any) -> dict[str, Any]:
    return {
        "state": "main",
        "engine": "lua",
        "phase": "idle",
        "pid": 41,
        "age_s": 75.0,
        "memory_bytes": 22 * 1024**2,
        "memory_limit": 128 * 1024**2,
        "cpu_s": 0.061,
        "script_time_s": 0.0127,
        "script_time_limit": 20,
        "instructions": 0,
        "instructions_limit": 6_000_000_000,
        "effects": 3,
        "effects_limit": 10_000,
        "output_bytes": 1536,
        "output_limit": 5 * 1024**2,
        "cells": 4,
        "recycles": 1,
        "layers": {"privileges": "", "landlock": ""},
        **changes,
    }


FIGURES = {
    "phase": "idle",
    "memory": "22 MiB of 128 MiB",
    "CPU": "61 ms",
    "script time": "13 ms of 20 s",
    "effects": "3 of 10,000",
    "output": "1.5 KiB of 5 MiB",
    "cells": "4",
    "recycles": "1",
    "age": "1 min",
    "pid": "41",
}


def test_each_figure_stands_against_its_limit() -> None:
    text = status_bundle({"states": [state(), state(engine="javascript")], "pool": POOL})["text/plain"]
    head, _, *lines = text.splitlines()
    assert head.split("  ")[0] == "state" and head.split()[1:] == ["lua", "'main'", "javascript", "'main'"]
    figures = [" ".join(line.split()) for line in lines[: len(FIGURES)]]
    assert figures == [f"{name} {figure} {figure}" for name, figure in FIGURES.items()]
    assert lines[len(FIGURES) :] == ["1 worker and 1 spare of at most 64, 49 MiB of memory in all", "layers: privileges, landlock"]
    assert max(map(len, text.splitlines())) < 80


def test_many_states_have_a_line_each() -> None:
    text = status_bundle({"states": [state(state=f"s{number}") for number in range(SIDE_BY_SIDE + 1)], "pool": POOL})["text/plain"]
    head, _, *lines = text.splitlines()
    assert " ".join(head.split()) == " ".join(["state", *FIGURES])
    assert [" ".join(line.split()) for line in lines[: SIDE_BY_SIDE + 1]] == [
        " ".join([f"lua 's{number}'", *FIGURES.values()]) for number in range(SIDE_BY_SIDE + 1)
    ]


def test_instructions_are_told_where_the_engine_counts_them() -> None:
    text = status_bundle({"states": [state(instructions=1_234_567)], "pool": POOL})["text/plain"]
    assert "1,234,567 of 6,000,000,000" in text


def test_a_lost_state_has_no_figures_of_a_process_and_a_missing_layer_says_why() -> None:
    lost = state(state="lost", pid=None, memory_bytes=None, cpu_s=None)
    bare = state(state="bare", layers={"landlock": "the kernel has none"})
    pool = {**POOL, "waiting": 2, "drained": 1}
    text = status_bundle({"states": [lost, state(), bare], "pool": pool})["text/plain"]
    assert "layers of lua 'main': privileges, landlock" in text
    assert "layers of lua 'bare': landlock is missing (the kernel has none)" in text
    assert "2 states waiting, 1 drained" in text


def test_without_states_it_says_so() -> None:
    shown = status_bundle({"states": [], "pool": POOL})
    assert shown["text/plain"].startswith(NO_STATES) and NO_STATES in shown["text/html"]


def test_names_are_text_and_colours_come_from_the_page() -> None:
    hostile = state(state="<img src=x onerror=alert(1)>\x1b[31m", layers={"landlock": "<b>\x1b[31mno</b>"})
    shown = status_bundle({"states": [hostile], "pool": POOL})
    assert "<img" not in shown["text/html"] and "<b>" not in shown["text/html"]
    assert "\x1b" not in shown["text/plain"] + shown["text/html"]
    # what sets no colour of its own reads on light and on dark
    assert "color:" not in shown["text/html"] and "background" not in shown["text/html"]
