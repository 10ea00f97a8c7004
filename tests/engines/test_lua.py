"""What a Lua script must not be able to do, shown in a real worker: outlive a stop, change what is ours, or break the conversation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from llmspell_kernel.engines.lua import declaration
from llmspell_kernel.errors import WorkerLost
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.protocol.output import Output
from llmspell_kernel.protocol.steps import Answer, Failed, Fault, Finished, Step, Suspended
from llmspell_kernel.workers.pool import WorkerPool
from llmspell_kernel.workers.worker import Worker

STATE = 1
TIMEOUT_S = 30.0
MEMORY_BYTES = 48 * 1024 * 1024
CATALOGUE = json.dumps(
    {"bridges": {"llm": ["chat", "stream"]}, "resources": {"llm.stream": {"methods": ["next", "close"], "iterate": "next"}}}
).encode()
LOOP = "while true do end"
ANNOUNCE = """
    local long, announced = ('x'):rep(1e5), false
    local function announce()  -- two records larger than any buffer: the first is whole at the host before a hook has run
      if not announced then announced = true print(long) print(long) end
    end
"""


class Lua:
    """One state in a worker; every effect is answered with the text `answer`."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.printed: list[str] = []
        self.effects: list[str] = []
        self.at_print: Callable[[], None] = lambda: None
        worker.on_output[STATE] = self._heard

    def _heard(self, output: Output) -> None:
        self.printed.append(output.text)
        self.at_print()

    async def run(self, code: str, chunk: str = "cell[1]") -> Step:
        step = await self.worker.begin(STATE, code, chunk)
        open_effects: set[int] = set()
        while isinstance(step, Suspended):
            self.effects += [effect.method for effect in step.effects]
            open_effects = (open_effects | {effect.id for effect in step.effects}) - set(step.abandoned)
            step = await self.worker.resume(STATE, [Answer(number, json_raw("answer")) for number in sorted(open_effects)], [])
            open_effects = set()
        return step

    async def value(self, code: str) -> Any:
        step = await self.run(code)
        assert isinstance(step, Finished), step
        values = json.loads(bytes(step.values))
        return values[0] if len(values) == 1 else values

    async def fault(self, code: str) -> Fault:
        step = await self.run(code)
        assert isinstance(step, Failed), step
        return step.fault

    async def stopped_while(self, code: str) -> Fault:
        """The fault of a script that is stopped once it runs.  The loop lets the hook write out what was printed."""
        self.at_print = lambda: self.worker.stop(STATE)
        fault = await self.fault(code if ANNOUNCE in code else "print('on')\n" + code)
        self.at_print = lambda: None
        return fault

    async def members(self, path: str) -> list[str]:
        return [name for name, _ in json.loads(await self.worker.query(STATE, "members", path))]


def json_raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


async def opened(pool: WorkerPool, memory_bytes: int = MEMORY_BYTES) -> Lua:
    worker = await pool.take(keep_spare=False)
    await worker.open(STATE, "lua", CATALOGUE, json.dumps({"state": STATE, "memory_bytes": memory_bytes}).encode())
    return Lua(worker)


def playing(play: Callable[[Lua, WorkerPool], Awaitable[None]]) -> None:
    async def whole() -> None:
        pool = WorkerPool([declaration], policy=WorkerPolicy(), startup_s=10)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await play(await opened(pool), pool)
        finally:
            pool.close()

    asyncio.run(whole())


STUBBORN = {
    "loop": "while true do end",
    "goto": "::a:: goto a",
    "tail call": "local function f() return f() end f()",
    "pcall": "while true do pcall(function() while true do end end) end",
    "pcall of pcall": "while true do pcall(pcall, function() while true do end end) end",
    "xpcall handler": "while true do xpcall(function() while true do end end, function() while true do end end) end",
    "xpcall handler of an error": "xpcall(error, function() while true do end end)",
    "coroutine.wrap": "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    "coroutine.resume": "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "coroutine.close": """
        while true do
          local co = coroutine.create(function()
            local x <close> = setmetatable({}, { __close = function() while true do end end })
            coroutine.yield()
          end)
          coroutine.resume(co)
          coroutine.close(co)
        end""",
    "coroutine kept from before the stop": """
        kept = coroutine.wrap(function() while true do coroutine.yield() end end)
        while true do pcall(kept) end""",
    "fresh coroutines": ANNOUNCE
    + """
        local function level(d)
          for i = 1, 80 do
            coroutine.wrap(function() if d > 0 then level(d - 1) else announce() for j = 1, 4000 do end end end)()
          end
        end
        level(5)""",
    "fresh tasks": ANNOUNCE + "local n = 0 local function f() n = n + 1 if n == 1000 then announce() end async.spawn(f) end f()",
    "__close": """
        local function f() local x <close> = setmetatable({}, { __close = function() while true do end end }) error('e') end
        while true do pcall(f) end""",
    "__close of the cell": "local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end",
    "background task": "async.background(function() while true do pcall(function() while true do end end) end end, 'endless')",
    "errors.try": "while true do errors.try(function() while true do end end) end",
    "promise": "promise.new(function(resolve) resolve(while_true()) end):await()".replace("while_true()", f"(function() {LOOP} end)()"),
    "promise handlers": f"promise.reject('x'):catch(function() {LOOP} end):finally(function() {LOOP} end):await()",
    "lists.map": f"while true do pcall(lists.map, {{ 1 }}, function() {LOOP} end) end",
    "lists.sort_by": f"while true do pcall(lists.sort_by, {{ 1, 2 }}, function() {LOOP} end) end",
    "a list without end": "lists.filter(setmetatable({}, { __len = function() return 1 << 60 end }), print)",
    "inspect": "local t = {} for i = 1, 2e5 do t[i] = { i } end while true do pcall(inspect, t) end",
    "json.encode": "local t = {} for i = 1, 2e5 do t[i] = { i } end while true do pcall(json.encode, t, { pretty = true }) end",
    "closing of a cancelled task": f"""
        local t = async.spawn(function()
          local x <close> = setmetatable({{}}, {{ __close = function() {LOOP} end }})
          llm.chat('x')
        end)
        async.race(function() async.join({{ t }}) end, function() end)
        t:cancel()""",
    "iterator": "for _ in function() return 1 end do end",
    "iterator that catches": "for _ in function() pcall(function() while true do end end) return 1 end do end",
    "sort comparator": "while true do pcall(table.sort, { 3, 2, 1 }, function(a, b) while true do end end) end",
    "gsub callback": "while true do pcall(string.gsub, 'abc', '.', function() while true do end end) end",
    "pcall in a gsub callback": "while true do string.gsub('abc', '.', function() pcall(function() while true do end end) end) end",
    "pcall recursion in a sort comparator": ANNOUNCE
    + """
        local n = 0
        local function f() n = n + 1 if n == 1000 then announce() end pcall(f) pcall(f) end
        table.sort({ 2, 1 }, function() f() return false end)""",
    "string building": "while true do local s = '' for i = 1, 1000 do s = s .. 'x' end end",
    "metamethod": "local t = setmetatable({}, { __index = function() while true do end end }) while true do pcall(function() return t.x end) end",
    "printing a hostile value": "for i = 1, 1e7 do end print(setmetatable({}, { __tostring = function() while true do end end }))",
    "load reader": "while true do pcall(load, function() while true do end end) end",
    "table.* on a length that a metamethod gives": """
        local t = setmetatable({}, { __len = function() return 9000000 end, __index = function() return 1 end, __newindex = function() end })
        while true do table.insert(t, 1, 1) end""",
}


@pytest.mark.parametrize("code", STUBBORN.values(), ids=STUBBORN.keys())
def test_a_stop_passes_through(code: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        pid = lua.worker.pid
        await lua.run("kept_value = 7")
        assert (await lua.stopped_while(code)).code == "interrupted"
        assert await lua.value("kept_value") == 7
        assert lua.worker.pid == pid

    playing(play)


UNSTOPPABLE = {
    "pattern bomb": "return (('a'):rep(40)):find(('a-'):rep(40) .. 'b')",
    "pcall recursion": "local function f() pcall(f) pcall(f) end f()",
}


@pytest.mark.parametrize("code", UNSTOPPABLE.values(), ids=UNSTOPPABLE.keys())
def test_what_no_hook_sees_is_killed_and_the_next_state_works(code: str) -> None:
    async def play(lua: Lua, pool: WorkerPool) -> None:
        lua.at_print = lua.worker.kill
        with pytest.raises(WorkerLost, match="SIGKILL"):
            await lua.run("print('on') for i = 1, 1e7 do end " + code)
        assert await (await opened(pool)).value("1 + 1") == 2

    playing(play)


MEMORY_BOMBS = {
    "doubled string": "local s = 'x' while true do s = s .. s end",
    "one long string": "return #('x'):rep(1e9)",
    "table": "local t = {} while true do t[#t + 1] = {} end",
    "coroutines": "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
    "tasks": "while true do async.spawn(print) end",
    "concat": "local t = {} for i = 1, 1e4 do t[i] = ('x'):rep(1e4) .. i end return #table.concat(t)",
    "printed table": "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    "error with a message as large": "local s = ('x'):rep(2e7) error(s .. s .. s)",
}


@pytest.mark.parametrize("code", MEMORY_BOMBS.values(), ids=MEMORY_BOMBS.keys())
def test_a_memory_bomb_meets_the_limit_and_the_state_answers_afterwards(code: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        assert (await lua.fault(code)).code == "limit"
        assert await lua.value("1 + 1") == 2

    playing(play)


@pytest.mark.parametrize("fill", ["while true do t = { t } end", "while true do t[#t + 1] = ('x'):rep(1000) .. #t end"])
def test_a_state_that_globals_fill_to_the_last_byte_still_takes_the_cell_that_empties_it(fill: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        await lua.run("t = {}")
        for _time in range(5):  # what one cell leaves, the next one fills; also its own coroutine is kept
            assert (await lua.fault("kept = { kept, coroutine.running() } " + fill)).code == "limit"
        assert isinstance(await lua.run("t, kept = nil"), Finished)
        assert await lua.value("1 + 1") == 2

    playing(play)


READ_ONLY = {
    "a field": "llm.chat = print",
    "rawset": "rawset(llm, 'chat', print)",
    "setmetatable": "setmetatable(llm, {})",
    "what pairs gives": "local _, t = pairs(llm) t.chat = print",
    "table.insert": "table.insert(llm, 1)",
    "a method of a task": "async.spawn(print).await = print",
    "null": "null.x = 1",
    "null by rawset": "rawset(null, 'x', 1)",
    "a task by rawset": "rawset(async.spawn(print), 'await', print)",
    "a promise": "promise.resolve(1).await = print",
    "a promise by rawset": "rawset(promise.resolve(1), 'await', print)",
}


@pytest.mark.parametrize("code", READ_ONLY.values(), ids=READ_ONLY.keys())
def test_api_tables_are_read_only(code: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        assert (await lua.fault(code)).code == "script"
        assert await lua.value("llm.chat('x')") == "answer"
        names = "local names = {} for name in pairs(llm) do names[#names + 1] = name end table.sort(names) return names"
        assert await lua.value(names) == ["chat", "stream"]

    playing(play)


@pytest.mark.parametrize(
    "code",
    [
        "load('\\27Lua\\84\\0\\25\\147\\r\\n\\26\\n\\4\\8\\8xV')",
        "load('\\27Lua', 'x', 'b')",
        "load('\\27Lua', 'x', 'bt')",
        "local sent = false return load(function() if not sent then sent = true return '\\27Lua' end end)",
    ],
)
def test_bytecode_is_refused(code: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        refused, why = await lua.value(code)
        assert refused is None
        assert "b" in why
        assert await lua.value("string.dump") is None

    playing(play)


def test_nothing_but_the_allow_list_is_there() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        libraries = {"async", "coroutine", "json", "llm", "math", "os", "string", "table", "utf8"}
        libraries |= {"base64", "errors", "lists", "promise", "text", "url", "uuid"}
        functions = (
            "array assert collectgarbage eprint error getmetatable inspect ipairs is_array load next object pairs pcall print rawequal"
        )
        functions += " rawget rawlen rawset require select setmetatable sleep tonumber tostring type xpcall"
        assert set(await lua.members("")) == libraries | set(functions.split()) | {"_G", "_VERSION", "null"}
        assert set(await lua.members("os")) == {"clock", "date", "difftime", "time"}

    playing(play)


WAYS_OUT = ["io", "package", "debug", "dofile", "loadfile", "python", "warn", "string.dump"]


@pytest.mark.parametrize("name", [*WAYS_OUT, "os.execute", "os.exit", "os.getenv", "os.remove"])
def test_a_way_out_is_absent(name: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        assert await lua.value(name) is None
        assert await lua.value(f"load('return {name}')()") is None

    playing(play)


@pytest.mark.parametrize("what", ["stop", "restart", "generational", "incremental", "setpause", "step"])
def test_the_garbage_collector_cannot_be_steered(what: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        assert "not available" in (await lua.fault(f"collectgarbage('{what}')")).message

    playing(play)


def test_a_finalizer_is_never_set() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        assert "__gc" in (await lua.fault("setmetatable({}, { __gc = print })")).message
        busy = "for i = 1, 1e6 do local t = {} end return 'done'"
        late = f"local mt = {{}} setmetatable({{}}, mt) mt.__gc = function() {LOOP} end {busy}"
        inherited = f"setmetatable({{}}, setmetatable({{}}, {{ __index = {{ __gc = print }} }})) {busy}"
        assert [await lua.value(late), await lua.value(inherited)] == ["done", "done"]
        assert lua.printed == []

    playing(play)


def test_the_metatable_of_strings_is_out_of_reach() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        assert await lua.value("getmetatable('')") is None
        assert await lua.value("string.upper = function() return 'mine' end return ('x'):upper()") == "mine"
        assert (await lua.fault("local x\nx.y = 'z'")).message.startswith("attempt to index a nil value")

    playing(play)


ABSURD = {
    "length by a metamethod": "table.insert(setmetatable({}, { __len = function() return 1 << 52 end }), 1, 2)",
    "length behind __metatable": "table.remove(setmetatable({}, { __len = function() return 1 << 52 end, __metatable = 1 }), 1)",
    "length of a table with few keys": "local t, i = {}, 1 << 50 while i > 0 do t[i] = 1 i = i >> 1 end table.insert(t, 1, 1) error('done')",
    "move": "table.move({}, 1, 1 << 50, 2)",
    "move by texts": "table.move({}, '1', '1125899906842624', 2)",
    "move over everything": "table.move({}, math.mininteger, math.maxinteger, 2)",
    "rep of nothing": "error(#(''):rep(1 << 53))",
    "string.rep": "('x'):rep(1 << 62)",
    "unpack": "table.unpack({}, 1, 1 << 40)",
}


@pytest.mark.parametrize("code", ABSURD.values(), ids=ABSURD.keys())
def test_a_loop_in_c_over_an_absurd_length_is_refused(code: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        assert (await lua.fault(code)).code in ("script", "limit")

    playing(play)


def test_a_length_that_changes_when_asked_again_is_asked_once() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        code = """
            local asked, t = 0, { 1, 2, 3 }
            setmetatable(t, { __len = function() asked = asked + 1 return asked == 1 and 3 or 1 << 50 end })
            table.insert(t, 1, 0)
            return { asked, rawget(t, 1), rawget(t, 4) }"""
        assert await lua.value(code) == [1, 0, 3]

    playing(play)


def test_a_table_of_few_keys_with_a_huge_border_is_refused_at_once() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        assert (await lua.fault("local t, i = {}, 1 << 50 while i > 0 do t[i] = 1 i = i >> 1 end return t")).code == "value"

    playing(play)


HOSTILE = f"setmetatable({{}}, {{ __tostring = function() {LOOP} end, __index = function() {LOOP} end, __len = function() {LOOP} end, \
__eq = function() {LOOP} end, __pairs = function() {LOOP} end, __name = ('x'):rep(1000), __metatable = false }})"


@pytest.mark.parametrize(
    "code",
    [
        f"error({HOSTILE})",
        f"local e = {HOSTILE} coroutine.wrap(function() error(e) end)()",
        f"async.all({{ function() error({HOSTILE}) end }})",
        f"async.spawn(function() error({HOSTILE}) end)",
        f"coroutine.yield({HOSTILE})",
        f"return {{ [{HOSTILE}] = 1 }}",
        f"llm.chat({{ [{HOSTILE}] = 1 }})",
        "coroutine.yield(setmetatable({}, { __eq = function() return true end }), 'effect', nil)",
    ],
)
def test_a_hostile_object_is_read_raw_on_our_side(code: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        fault = await lua.fault(code)
        assert fault.code in ("script", "value")
        assert "prelude" not in fault.message
        assert await lua.value("1 + 1") == 2

    playing(play)


def test_a_result_is_read_raw() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        assert await lua.value(f"local t = {HOSTILE} rawset(t, 'a', 1) return t") == {"a": 1}

    playing(play)


def test_a_script_cannot_pass_its_error_for_one_of_the_host() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        forged = await lua.fault("error(setmetatable({ code = 'interrupted', message = 'forged' }, { __metatable = false }))")
        assert (forged.code, forged.message) == ("script", "forged")

    playing(play)


UNREADABLE = {
    "name of a function": ("t = {} t['\\xff'] = function() error('x') end t['\\xff']()", "x"),
    "message": ("error('a\\xffb', 0)", "a?b"),
    "message beside whole characters": ("error('é\\xffé', 0)", "é?é"),
    "syntax error inside a character": ('x = "\\é"', "invalid escape sequence"),
    "place that is none": ("error('cell[1]:99999999999999999999: x', 0)", "99999999999999999999"),
    "field of a caught fault": ("local _, e = pcall(llm.chat, { 1, a = 1 }) e.name, e.code = '\\xff', {} error(e)", "list"),
}


@pytest.mark.parametrize(("code", "message"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_error_of_any_bytes_is_told(code: str, message: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        fault = await lua.fault(code)
        assert fault.code == "script"
        assert message in fault.message

    playing(play)


def test_an_error_of_many_megabytes_is_cut() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        assert len((await lua.fault("error(('x'):rep(1e7), 0)")).message) < 70_000

    playing(play)


def test_an_error_raised_again_and_again_keeps_few_frames() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        fault = await lua.fault("local e = {} for i = 1, 1000 do pcall(coroutine.wrap(function() error(e) end)) end error(e)")
        assert 0 < len(fault.frames) <= 33

    playing(play)


def test_a_stack_overflow_far_from_any_cell_is_told_at_once() -> None:
    async def play(_: Lua, pool: WorkerPool) -> None:
        lua = await opened(pool, memory_bytes=1 << 30)
        assert "stack overflow" in (await lua.fault("load('local function f() return 1 + f() end f()')()")).message

    playing(play)


@pytest.mark.parametrize(
    "code", ["coroutine.create(1)", "coroutine.wrap()", "coroutine.close(coroutine.running())", "pcall()", "xpcall(print)"]
)
def test_a_wrong_call_of_a_library_function_names_the_script(code: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        fault = await lua.fault(code)
        assert "prelude" not in fault.message
        assert [(frame.chunk, frame.line) for frame in fault.frames][:1] == [("cell[1]", 1)]

    playing(play)


def test_libraries_do_not_read_globals_that_a_script_has_changed() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        await lua.run("array, object, null, type, getmetatable, pcall, next, ipairs, error, tostring = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10")
        await lua.run("for _, t in pairs({ string, table, math, utf8 }) do for name in pairs(t) do t[name] = nil end end")
        await lua.run("async = { sleep = 1 }")
        assert await lua.value("json.decode('[1,{}]')") == [1, {}]
        assert await lua.value("promise.all({ function() return 1 end }):await()") == [1]
        assert await lua.value("inspect({ b = 1, a = { 2 } })") == "{a = {2}, b = 1}"
        assert await lua.value("text.split('a b')[2] .. lists.map({ 1 }, function(x) return x + 1 end)[1]") == "b2"

    playing(play)


def test_a_query_runs_nothing_of_the_script() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        await lua.run(f"text = 'x' string = nil setmetatable(_G, {{ __index = function() {LOOP} end }})")
        assert "upper" in await lua.members("text")
        assert await lua.members("missing.deeper") == []

    playing(play)


def test_a_call_in_a_coroutine_inside_a_callback_never_reaches_the_host() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        fault = await lua.fault("string.gsub('abc', '.', coroutine.wrap(function() llm.chat('x') end))")
        assert "cannot wait inside a callback" in fault.message
        assert lua.effects == []
        assert await lua.value("llm.chat('x')") == "answer"

    playing(play)


@pytest.mark.parametrize(
    "code",
    [
        "async.all({ function() llm.chat('x') end, function() error('e') end })",
        "local h h = async.spawn(function() h:cancel() return llm.chat('x') end) async.join({ h })",
        "local h = async.spawn(function() llm.chat('x') end) async.spawn(function() h:cancel() end) h:await()",
    ],
)
def test_an_effect_given_up_before_the_host_heard_of_it_is_never_asked(code: str) -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        await lua.fault(code)
        assert lua.effects == []
        assert await lua.value("pcall(function() " + code + " end) return llm.chat('x')") == "answer"
        assert lua.effects == ["chat"]

    playing(play)


def test_what_is_to_be_closed_is_closed_when_a_cell_or_a_coroutine_fails() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        guard = "local x <close> = setmetatable({}, { __close = function() print('closed') end }) error('boom')"
        assert (await lua.fault(guard)).message == "boom"
        assert (await lua.fault(f"coroutine.wrap(function() {guard} end)()")).message == "boom"
        assert "".join(lua.printed) == "closed\nclosed\n"

    playing(play)


def test_an_error_object_without_a_message_is_told_by_its_fields() -> None:
    async def play(lua: Lua, _: WorkerPool) -> None:
        fault = await lua.fault('error({code = 42, what = "broken", inner = {}})')
        assert fault.message == 'an error object {code = 42, what = "broken"}' and fault.code == "script"

    playing(play)
