"""Calls of bridges from Python, beside scripts: all that they show arrives, whatever it may look like."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.errors import BridgeError

from .world import LIMITS, Probe, Recording, world


def test_the_end_of_a_python_call_s_output_is_shown_though_it_may_begin_a_secret() -> None:
    async def run() -> Recording:
        async with world() as made:
            made.session.secrets.set("k", "grey-12345")
            await made.session.call_bridge("ui", "write", "reading")
            return made.sink

    assert asyncio.run(run()).text("stdout") == "reading"


def test_the_end_of_a_python_call_s_output_is_shown_though_the_call_fails_after_it() -> None:
    async def run() -> Recording:
        probe = Probe()
        probe.writes, probe.raises = "reading", BridgeError("on purpose")
        async with world(probe=probe) as made:
            made.session.secrets.set("k", "grey-12345")
            with pytest.raises(BridgeError, match="on purpose"):
                await made.session.call_bridge("probe", "fail")
            return made.sink

    assert asyncio.run(run()).text("stdout") == "reading"


def test_of_a_python_call_s_output_over_the_cap_the_end_is_shown() -> None:
    async def run() -> Recording:
        async with world(limits=LIMITS._replace(output_bytes=1_000)) as made:
            await made.session.call_bridge("ui", "write", "a" * 5_000 + "the end")
            return made.sink

    assert asyncio.run(run()).text("stdout").endswith("athe end")
