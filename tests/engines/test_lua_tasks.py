"""Tasks of Lua a step at a time: what goes on without a cell, what is cancelled with what, modules, and bridges that come and go."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from llmspell_kernel.protocol.steps import Answer, Failed, Fault, Finished, Invocation, Suspended

from .lua_state import Driven

TICKER = "async.background(function() for i = 1, 3 do sleep(i) count = i end end, 'ticker')"


def declare(driven: Driven, **change: Any) -> None:
    assert driven.state.query("declare", "", json.dumps(change).encode()) == b"null"


class TestBackground:
    def test_a_cell_does_not_wait_for_it_and_it_goes_on_without_one(self) -> None:
        driven = Driven()
        assert driven.values(TICKER + " return 'done'") == ["done"]
        assert driven.background is not None
        assert (driven.background.tasks, driven.background.open) == (["ticker"], [1])
        assert driven.waits_for == ["sleep [1]"]
        assert driven.finished(driven.answer("sleep")) == []
        assert driven.waits_for == ["sleep [2]"]
        driven.answer("sleep")
        driven.answer("sleep")
        assert driven.background is None
        assert driven.value("count") == 3

    def test_it_lives_on_beside_a_new_cell(self) -> None:
        driven = Driven()
        driven.begin(TICKER)
        assert isinstance(driven.begin("return llm.chat('x')"), Suspended)
        assert isinstance(driven.answer("sleep [1]"), Suspended)
        assert driven.waits_for == ['chat ["x"]', "sleep [2]"]
        assert driven.finished(driven.answer("chat", "hi")) == ["hi"]
        assert driven.background is not None
        assert driven.background.open == [3]
        assert driven.background.effects == []
        assert driven.value("count") == 1

    def test_what_it_spawns_is_background_too(self) -> None:
        driven = Driven()
        driven.begin("async.background(function() sleep(1) async.spawn(function() sleep(2) inner = true end) end)")
        driven.answer("sleep [1]")
        assert driven.background is not None
        assert (driven.background.tasks, driven.waits_for) == (["task 2"], ["sleep [2]"])
        driven.answer("sleep [2]")
        assert driven.value("inner") is True

    def test_a_cell_waits_for_what_it_awaits_of_it(self) -> None:
        driven = Driven()
        driven.begin("later = async.background(function() sleep(1) return 'late' end)")
        assert isinstance(driven.begin("return later:await()"), Suspended)
        assert driven.finished(driven.answer("sleep")) == ["late"]
        assert driven.background is None

    def test_a_task_of_a_cell_that_awaits_it_is_waited_for(self) -> None:
        driven = Driven()
        driven.begin("later = async.background(function() sleep(1) end)")
        assert isinstance(driven.begin("async.spawn(function() later:await() heard = true end)"), Suspended)
        driven.answer("sleep")
        assert driven.value("heard") is True

    def test_a_failing_cell_keeps_it(self) -> None:
        driven = Driven()
        driven.begin(TICKER)
        assert driven.fault(TICKER.replace("ticker", "own") + " error('boom')").message == "boom"
        assert driven.background is not None
        assert driven.background.tasks == ["ticker", "own"]
        assert len(driven.background.open) == 2
        assert driven.fault("x = = 1").name == "SyntaxError"
        assert driven.background is not None
        assert len(driven.background.open) == 2
        driven.answer("sleep")
        assert driven.value("count") == 1

    @pytest.mark.parametrize("ending", ["error('e')", "x = = 1", "return 1"])
    def test_a_cells_own_task_ends_with_it_and_who_awaits_it_is_told(self, ending: str) -> None:
        driven = Driven()
        driven.begin("keep = {} async.background(function() sleep(1) local ok, e = pcall(keep.task.await, keep.task) told = e.code end)")
        driven.begin("keep.task = async.spawn(function() keep.never:await() end) error('x')")
        driven.answer("sleep")
        assert driven.value("told") in ("script", "cancelled")
        assert driven.background is None

    def test_its_failure_that_nobody_caught_is_told_with_its_place_and_once(self) -> None:
        driven = Driven()
        driven.begin("async.background(function()\n sleep(1)\n error('boom')\nend)", "cell[7]")
        driven.answer("sleep")
        assert isinstance(driven.step, Finished)
        assert driven.background is not None
        (fault,) = driven.background.failed
        assert (fault.message, fault.frames[0].chunk, fault.frames[0].line) == ("boom", "cell[7]", 3)
        assert driven.background.open == driven.background.tasks == []
        driven.begin("return 1")
        assert driven.background is None

    def test_a_failure_that_a_cell_caught_is_not_told(self) -> None:
        driven = Driven()
        driven.begin("later = async.background(function() sleep(1) error('boom') end)")
        driven.begin("return select(2, errors.try(later.await, later)).message")
        assert driven.finished(driven.answer("sleep")) == ["boom"]
        assert driven.background is None

    def test_it_fails_beside_a_cell_that_succeeds(self) -> None:
        driven = Driven()
        driven.begin("async.background(function() error('boom') end) return 1")
        assert isinstance(driven.step, Finished)
        assert driven.background is not None
        assert [fault.message for fault in driven.background.failed] == ["boom"]

    def test_of_hundreds_that_fail_at_once_the_first_are_told(self) -> None:
        driven = Driven()
        driven.begin("for i = 1, 300 do async.background(function() error('boom ' .. i .. ('x'):rep(60000)) end) end")
        assert isinstance(driven.step, Finished)
        assert driven.background is not None
        assert [fault.message[:7].strip("x") for fault in driven.background.failed] == [f"boom {number}" for number in range(1, 21)]

    @pytest.mark.parametrize("of_a_cell", [True, False], ids=["in a cell", "between cells"])
    def test_a_stop_ends_all_of_it(self, of_a_cell: bool) -> None:
        driven = Driven()
        driven.begin("later = " + TICKER)
        if of_a_cell:
            driven.begin("sleep(9)")
        driven.flag.stop()
        assert driven.failed(driven.resume()).code == "interrupted"
        assert driven.background is None
        driven.flag.lower()
        assert driven.values("return later:done(), #async.tasks()") == [True, 0]

    @pytest.mark.parametrize("where", ["the cell", "the background"])
    def test_memory_that_runs_out_ends_all_of_it(self, where: str) -> None:
        driven = Driven(memory_bytes=8 * 1024 * 1024)
        bomb = "local t = {} while true do t[#t + 1] = {} end"
        driven.begin(TICKER)
        if where == "the cell":
            assert driven.fault(bomb).code == "limit"
        else:
            driven.begin(f"async.background(function() {bomb} end)")
            assert isinstance(driven.step, Failed) or driven.background is not None
        told = driven.background
        assert told is None or (told.open, told.tasks, told.failed[0].code) == ([], [], "limit")
        assert driven.value("#async.tasks()") == 0

    def test_it_is_listed_with_what_the_cell_spawned(self) -> None:
        driven = Driven()
        driven.begin(TICKER)
        listed = "local t = async.spawn(sleep, 9) local list = async.tasks() t:cancel() return list"
        assert driven.value(listed) == [
            {"name": "task 2", "background": False, "done": False},
            {"name": "ticker", "background": True, "done": False},
        ]

    def test_a_cancelled_one_abandons_its_effect(self) -> None:
        driven = Driven()
        driven.begin("later = async.background(function() sleep(1) end)")
        driven.begin("later:cancel()")
        assert driven.background is None
        driven.begin("later = async.background(function() sleep(1) end) other = async.background(function() sleep(2) end)")
        driven.begin("later:cancel()")
        assert driven.background is not None
        assert (len(driven.background.abandoned), len(driven.background.open)) == (1, 1)

    def test_a_function_that_the_host_calls_between_cells_returns_there(self) -> None:
        driven = Driven()
        driven.begin("async.background(function() llm.chat(function(x) return x + 1 end) end)")
        driven._take(driven.state.resume([], [Invocation(7, 1, json_args(41))]))
        assert isinstance(driven.step, Finished)
        assert driven.background is not None
        assert [(item.id, bytes(item.value)) for item in driven.background.returned] == [(7, b"42")]

    def test_a_function_that_the_host_called_in_a_cell_that_failed_is_answered(self) -> None:
        driven = Driven()
        driven.begin("async.background(function() llm.chat(function() sleep(5) end) end)")
        driven.begin("sleep(1) error('boom')")
        driven.resume(Invocation(7, 1, json_args(1)))
        assert driven.failed(driven.answer("sleep [1]")).message == "boom"
        assert driven.background is not None
        (returned,) = driven.background.returned
        assert returned.fault is not None
        assert (returned.id, returned.fault.code) == (7, "cancelled")


def json_args(*values: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(values).encode())


class TestCancelling:
    def test_a_loser_of_a_race_gives_up_all_that_it_waited_for(self) -> None:
        driven = Driven()
        driven.begin("""
            local slow = function() async.all({ function() sleep(8) end, function() async.any(function() sleep(9) end) end }) end
            return async.race(slow, function() llm.chat('x') return 'fast' end)""")
        assert len(driven.asked) == 3
        assert isinstance(driven.answer("chat"), Finished)
        driven.begin("return 1")
        assert driven.background is None

    def test_the_host_is_told_to_abandon_the_losers_effects(self) -> None:
        driven = Driven()
        driven.begin("async.race(function() sleep(8) end, function() llm.chat('x') end) llm.chat('y')")
        driven.answer("chat")
        assert isinstance(driven.step, Suspended)
        assert driven.step.abandoned == [1]

    def test_a_wait_that_is_late_raises_and_cancels_nothing(self) -> None:
        driven = Driven()
        code = "local t = async.spawn(llm.chat, 'x') local _, e = errors.try(t.await, t, 2) return e.code, e.message, t:done(), t:await()"
        driven.begin(code)
        assert driven.waits_for == ['chat ["x"]', "sleep [2]"]
        assert isinstance(driven.answer("sleep"), Suspended)
        assert driven.waits_for == ['chat ["x"]']
        assert driven.finished(driven.answer("chat", "hi")) == ["timeout", "task 1 did not end within 2 s", False, "hi"]

    def test_a_wait_in_time_abandons_its_clock(self) -> None:
        driven = Driven()
        driven.begin("local t = async.spawn(llm.chat, 'x') local text = t:await(2) sleep(5) return text")
        driven.answer("chat", "hi")
        assert isinstance(driven.step, Suspended)
        assert driven.waits_for == ["sleep [5]"]

    def test_a_waiter_that_is_cancelled_takes_its_clock_along_and_not_the_task(self) -> None:
        driven = Driven()
        driven.begin("""
            local t = async.spawn(llm.chat, 'x')
            local waiter = async.spawn(function() t:await(60) end)
            sleep(0)
            waiter:cancel()
            return t:await()""")
        driven.answer("sleep [0]")
        assert driven.waits_for == ['chat ["x"]']
        assert driven.finished(driven.answer("chat", "hi")) == ["hi"]

    @pytest.mark.parametrize("timeout_s", ["-1", "0/0", "'1'"])
    def test_a_time_that_is_none_is_an_argument_error(self, timeout_s: str) -> None:
        assert Driven().fault(f"async.spawn(sleep, 1):await({timeout_s})").code == "argument"

    def test_a_cancelled_task_closes_what_it_holds(self) -> None:
        driven = Driven()
        driven.begin("""
            closed = {}
            local t = async.spawn(function()
              local a <close> = setmetatable({}, { __close = function() closed[#closed + 1] = 'table' end })
              local c <close> = probe.stream_chat()
              sleep(9)
            end)
            sleep(0)
            t:cancel()""")
        driven.answer("stream_chat", {"$": ["r", 1, "probe.counter"]})
        driven.answer("sleep [0]")
        assert "close []" in driven.waits_for
        driven.answer("close")
        assert driven.value("closed") == ["table"]

    def test_what_closes_cannot_keep_a_cell_from_ending(self) -> None:
        driven = Driven()
        driven.begin("""
            local function again()
              local x <close> = setmetatable({}, { __close = function() async.spawn(again) while true do error('e') end end })
              sleep(9)
            end
            async.spawn(again)
            sleep(0)
            error('boom')""")
        assert driven.failed(driven.answer("sleep [0]")).message == "boom"
        assert driven.background is None


MODULES = {
    "a": "local b = require('b') return { name = 'a', b = b }",
    "b": "loads = (loads or 0) + 1 return { name = 'b' }",
    "waits": "return llm.chat('x')",
    "nothing": "seen = ...",
    "one": "return require('two')",
    "two": "return require('three')",
    "three": "return require('one')",
    "self": "return require('self')",
    "fails": "attempts = (attempts or 0) + 1\nlocal function deep()\n  error('boom')\nend\ndeep()\nreturn 1",
    "wrong": "local x = 1\nx = = 2",
    "bytes": "\x1bLua",
}


def required(driven: Driven, code: str) -> Any:
    """The step at the end of a cell, or at its first effect that asks for no module."""
    driven.begin(code)
    while driven.waits_for and driven.waits_for[0].startswith("source"):
        name = json.loads(bytes(next(iter(driven.asked.values())).args))[0]
        unknown = Fault("unknown_module", f"there is no module '{name}'; known: a, b")
        driven.answer("source", MODULES.get(name), fault=None if name in MODULES else unknown)
    return driven.step


class TestRequire:
    def test_a_module_is_loaded_once_and_kept(self) -> None:
        driven = Driven()
        code = "local a, again = require('a'), require('a') return a.name, a.b.name, rawequal(a, again), loads"
        assert driven.finished(required(driven, code)) == ["a", "b", True, 1]
        assert driven.value("require('a').b.name .. loads") == "b1"

    def test_modules_see_the_scripts_globals_and_their_own_name(self) -> None:
        driven = Driven()
        assert driven.finished(required(driven, "return require('nothing'), seen")) == [True, "nothing"]

    def test_several_that_ask_at_once_wait_for_the_same_one(self) -> None:
        driven = Driven()
        required(driven, "return async.all({ function() return require('waits') end, function() return require('waits') end })")
        assert driven.waits_for == ['chat ["x"]']
        assert driven.finished(driven.answer("chat", "hi")) == [["hi", "hi"]]

    @pytest.mark.parametrize(("name", "path"), [("one", "one -> two -> three -> one"), ("self", "self -> self")])
    def test_a_cycle_is_named(self, name: str, path: str) -> None:
        fault = Driven.failed(required(Driven(), f"require('{name}')"))
        assert (fault.code, fault.message) == ("module_cycle", f"modules that require each other: {path}")
        assert [frame.chunk for frame in fault.frames][-1] == "cell[1]"

    def test_an_error_names_module_and_line_and_the_failed_one_is_tried_again(self) -> None:
        driven = Driven()
        fault = Driven.failed(required(driven, "require('fails')"))
        assert fault.message == "boom"
        assert [(frame.chunk, frame.line) for frame in fault.frames] == [("module[fails]", 3), ("module[fails]", 5), ("cell[1]", 1)]
        assert Driven.finished(required(driven, "pcall(require, 'fails') return attempts")) == [2]

    def test_a_module_that_does_not_compile_names_its_line(self) -> None:
        fault = Driven.failed(required(Driven(), "require('wrong')"))
        assert (fault.name, fault.frames[0].chunk, fault.frames[0].line) == ("SyntaxError", "module[wrong]", 2)
        assert "module[wrong]:2" in fault.message

    def test_an_unknown_module_is_the_hosts_error(self) -> None:
        assert Driven.failed(required(Driven(), "require('c')")).code == "unknown_module"

    def test_bytecode_is_no_module(self) -> None:
        assert "binary" in Driven.failed(required(Driven(), "require('bytes')")).message

    def test_without_modules_the_error_says_so(self) -> None:
        driven = Driven()
        declare(driven, remove=["modules"])
        assert driven.fault("require('a')").code == "unknown_module"

    def test_a_script_cannot_change_what_require_asks(self) -> None:
        driven = Driven()
        required(driven, "modules, string, tonumber = { source = function() return 'return 666' end }, nil, nil return require('b').name")
        assert Driven.finished(driven.step) == ["b"]


class TestCatalogue:
    def test_an_alias_is_the_same_function_and_no_hint_offers_it(self) -> None:
        driven = Driven()
        assert driven.value("probe.streamChat == probe.stream_chat") is True
        driven.begin("probe.streamChat('x')")
        assert driven.waits_for == ['stream_chat ["x"]']
        message = Driven().fault("probe.nothing_like_it()").message
        assert message == "probe has no method 'nothing_like_it'; it has pair, stream_chat"

    def test_walking_through_a_bridge_finds_methods_and_aliases_that_nobody_has_called(self) -> None:
        code = "local names = {} for name, fn in pairs(probe) do names[#names + 1] = name .. type(fn) end table.sort(names)"
        assert Driven().value(f"{code} return table.concat(names, ' ')").split() == [
            "pairfunction",
            "streamChatfunction",
            "stream_chatfunction",
        ]

    @pytest.mark.parametrize("name", ["'.*'", "'pair stream_chat'", "''", "'%f[%w]pair'", "('x'):rep(100000)"])
    def test_a_name_that_is_none_finds_no_method(self, name: str) -> None:
        assert "has no method" in Driven().fault(f"return probe[{name}]").message

    def test_an_answer_of_several_results_is_given_as_such(self) -> None:
        driven = Driven()
        driven.begin("return select('#', probe.pair()), probe.pair()")
        driven.answer("pair", [1, None, "c", None])
        assert driven.finished(driven.answer("pair", [1, None, "c"])) == [4, 1, None, "c"]

    def test_a_resources_method_has_aliases_and_several_results_too(self) -> None:
        driven = Driven()
        driven.begin("local from, to = probe.stream_chat():range(1) return to, from")
        driven.answer("stream_chat", {"$": ["r", 4, "probe.counter"]})
        assert driven.waits_for == ["span [1]"]
        assert driven.finished(driven.answer("span", ["a", "b"])) == ["b", "a"]

    def test_bridges_come_and_go_in_a_running_state(self) -> None:
        driven = Driven()
        declare(driven, add={"bridges": {"fresh": ["go"]}, "aliases": {"fresh": {"walk": "go"}}, "several": {"fresh": ["go"]}})
        driven.begin("return fresh.walk()")
        assert driven.finished(driven.answer("go", [1, 2])) == [1, 2]
        assert driven.value("kept = fresh.go return 1") == 1
        declare(driven, remove=["fresh"])
        assert driven.value("fresh == nil") is True
        driven.begin("kept()")
        gone = Fault("unknown", "there is no bridge 'fresh'")
        assert driven.failed(driven.answer("go", fault=gone)).code == "unknown"

    def test_a_bridge_is_replaced_while_a_cell_waits(self) -> None:
        driven = Driven()
        driven.begin("sleep(1) return llm.speak()")
        declare(driven, add={"bridges": {"llm": ["chat", "speak"]}})
        driven.answer("sleep")
        assert driven.finished(driven.answer("speak", "hi")) == ["hi"]

    @pytest.mark.parametrize("name", ["mine", "text", "print"])
    def test_a_global_of_the_scripts_own_is_not_replaced_or_removed(self, name: str) -> None:
        driven = Driven()
        driven.begin("mine = 'kept'")
        driven.begin(f"before = {name}")
        declare(driven, add={"bridges": {name: ["go"]}})
        assert driven.value(f"rawequal({name}, before)") is True
        declare(driven, remove=[name])
        assert driven.value(f"rawequal({name}, before)") is True

    def test_a_removed_bridge_that_the_script_replaced_leaves_the_scripts_value(self) -> None:
        driven = Driven()
        driven.begin("llm = 'mine'")
        declare(driven, remove=["llm"])
        assert driven.value("llm") == "mine"


def test_a_call_of_a_function_is_a_cell_that_background_work_lives_beside() -> None:
    driven = Driven()
    driven.begin(TICKER + " words = { count = function(t) return #t end }")
    assert driven.finished(driven._take(driven.state.call("words.count", json_args([1, 2]), "call"))) == [2]
    assert driven.background is not None
    assert driven.failed(driven._take(driven.state.call("words.missing", json_args(), "call"))).message.startswith(
        "there is no global function"
    )
    assert driven.background is not None
    assert driven.background.open == [1]


def test_answers_to_effects_that_nobody_waits_for_are_dropped() -> None:
    driven = Driven()
    driven.begin("local t = async.spawn(sleep, 1) sleep(2) t:cancel() sleep(3)")
    driven.answer("sleep [2]")
    step = driven.state.resume([Answer(1)], [])
    assert isinstance(step, Suspended)
    assert step.effects == []
