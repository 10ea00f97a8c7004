"""What a model's script does with the tools it was granted, and with those it was not, while it runs and after it has ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..bridges.test_run_script import script
from ..bridges.test_tools import World, play, register
from ..session.world import ENGINES

every_engine = pytest.mark.parametrize("engine", ENGINES)
TIMES = 4
"""A call that slips through when a grant ends does so in most of the runs."""
COUNT = {"lua": "seen = (seen or 0) + 1", "javascript": "globalThis.seen = (globalThis.seen ?? 0) + 1"}
SEEN = {"lua": "return seen or 0", "javascript": "globalThis.seen ?? 0"}
LEFT_BEHIND = {
    "lua": "async.background(function() while true do pcall(tools.call, 'wipe', {}) end end) return 1",
    "javascript": "async.background(async () => { for (;;) { try { await tools.call('wipe', {}) } catch {} } }); await tools.call('ok', {}); 1",
}


@every_engine
def test_what_a_script_leaves_behind_never_calls_a_tool_that_was_not_granted(engine: str, tmp_path: Path) -> None:
    async def use(at: World) -> None:
        await at.run(engine, register(engine, "wipe", COUNT[engine], 'level = "dangerous"'), state="owner")
        await at.run(engine, register(engine, "ok", "return 1"), state="owner")
        for _ in range(TIMES):
            assert (await script(at, engine, LEFT_BEHIND, "ok"))["error"] is None
        assert await at.run(engine, SEEN[engine], state="owner") == 0

    play(tmp_path, use)


@every_engine
def test_what_a_script_leaves_behind_calls_nothing_more_once_its_result_is_given(engine: str, tmp_path: Path) -> None:
    code = {
        "lua": "async.background(function() while true do pcall(tools.call, 'count', {}) end end) tools.call('count', {}) return 1",
        "javascript": "async.background(async () => { for (;;) { try { await tools.call('count', {}) } catch {} } });"
        " await tools.call('count', {}); 1",
    }

    async def use(at: World) -> None:
        await at.run(engine, register(engine, "count", COUNT[engine]), state="owner")
        assert (await script(at, engine, code, "count"))["values"] == [1]
        before = await at.run(engine, SEEN[engine], state="owner")
        assert before > 0 and at.session.background == [] and [name for name, _ in at.session.states] == ["owner"]
        assert await at.run(engine, SEEN[engine], state="owner") == before

    play(tmp_path, use)
