"""What stdlib/ gives Lua scripts where JavaScript has its own words for it; what both engines share is in the conformance suite."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .lua_state import Driven


@pytest.fixture(scope="module")
def lua() -> Driven:
    return Driven()


INSPECTED = {
    "nil": "nil",
    "1": "1",
    "1.0": "1.0",
    "'a\"\\n\\0'": '"a\\"\\n\\x00"',
    "'\\xff'": '"\\xff"',
    "{ 1, 'x', null }": '{1, "x", null}',
    "{ b = 1, a = 2, [10] = 3, [true] = 4, ['b c'] = 5, ['end'] = 6 }": '{[10] = 3, a = 2, b = 1, ["b c"] = 5, ["end"] = 6, [true] = 4}',
    "{ 1, 2, n = 2 }": "{1, 2, n = 2}",
    "{ {}, array{} }": "{{}, {}}",
    "llm": "<llm>",
    "async.spawn(print)": "<task>",
    "promise.resolve(1)": "<promise>",
    "{ print, f = coroutine.create(print) }": "{<function>, f = <thread>}",
}


@pytest.mark.parametrize(("value", "text"), INSPECTED.items())
def test_inspect_shows_values_as_lua_writes_them(lua: Driven, value: str, text: str) -> None:
    assert lua.value(f"inspect({value})") == text


def test_inspect_marks_cycles_and_shows_the_same_table_twice(lua: Driven) -> None:
    assert lua.value("local t = { 1 } t.me = { t } return inspect(t)") == "{1, me = {<cycle>}}"
    assert lua.value("local t = { 1 } return inspect({ t, t })") == "{{1}, {1}}"


def test_inspect_breaks_what_does_not_fit_a_line_and_obeys_its_options(lua: Driven) -> None:
    long = "{ name = ('x'):rep(60), list = { 1, 2 }, more = ('y'):rep(20) }"
    lines = ["{", "  list = {1, 2},", f'  more = "{"y" * 20}",', f'  name = "{"x" * 60}",', "}"]
    assert lua.value(f"inspect({long})").split("\n") == lines
    assert lua.value(f"inspect({long}, {{ indent = 4 }})").split("\n")[1] == "    list = {1, 2},"
    assert "\n" not in lua.value(f"inspect({long}, {{ indent = 0 }})")
    assert lua.value("inspect({ a = { b = { c = 1 } } }, { depth = 2 })") == "{a = {b = {...}}}"


def test_inspect_runs_nothing_of_the_value(lua: Driven) -> None:
    hostile = "setmetatable({ 1 }, { __index = error, __len = error, __pairs = error, __tostring = error, __name = 'x', __eq = error })"
    assert lua.value(f"inspect({hostile})") == "{1}"


WRONG = {
    "inspect(1, { dept = 2 })": "inspect: unknown option 'dept'; did you mean 'depth'?",
    "inspect(1, { depth = -1 })": "inspect: depth must be a whole number from 0 to 100",
    "async.map({}, print, { concurency = 1 })": "async.map: unknown option 'concurency'; did you mean 'concurrency'?",
    "async.map({}, print, { concurrency = 0 })": "async.map: concurrency must be a number of at least 1",
    "async.spawn(1)": "async.spawn takes a function, not a number",
    "async.background(print, 1)": "async.background takes a name (a string) as its second argument, not a number",
    "async.all({ print, 1 })": "async.all: item 2 is a number, not a function, a task or a promise",
    "async.race({})": "async.race takes at least one function, task or promise",
    "promise.new()": "promise.new takes a function(resolve, reject), not nil",
    "errors.new('denied', 'x')": "errors.new: the code 'denied' is for the host alone; choose another",
    "errors.try(1)": "errors.try takes a function, not a number",
    "text.split(nil)": "text.split takes a string, not nil",
    "text.template('{{nmae}}', { name = 1 })": "text.template: there is no value for {{nmae}}; did you mean 'name'?",
    "lists.sort_by({ 1, 'a' }, function(x) return x end)": "lists.sort_by: item 2 has the key a; all keys must be numbers, or all strings",
    "lists.reduce({}, print)": "lists.reduce: an empty list needs an initial value",
    "lists.group_by({ {} }, 'kind')": "lists.group_by: item 1 has no key",
    "base64.decode('a*b')": "base64.decode: byte 2 is not of base64",
    "url.query({ a = print })": "url.query: the value of 'a' is a function; it takes strings, numbers, booleans and lists of them",
    "url.build({ hots = 'x' })": "url.build: unknown option 'hots'; did you mean 'host'?",
    "json.encode(1, { prety = true })": "json.encode: unknown option 'prety'; did you mean 'pretty'?",
    "require(1)": "require takes the name of a module, not a number",
}


@pytest.mark.parametrize(("code", "message"), WRONG.items())
def test_a_wrong_argument_is_told_with_its_place(lua: Driven, code: str, message: str) -> None:
    fault = lua.fault(code)
    assert (fault.code, fault.message, fault.frames[0].line) == ("argument", message, 1)


def test_names_that_are_not_there_are_answered_with_the_nearest(lua: Driven) -> None:
    assert lua.fault("promise.resolve(1):nxt()").message == "promise has no method 'nxt'; did you mean 'next'?"
    assert lua.fault("async.spawn(print):awiat()").message == "task has no method 'awiat'; did you mean 'await'?"


def test_libraries_look_whole_before_they_are_used() -> None:
    lua = Driven()
    assert ["split", "function"] in json.loads(lua.state.query("members", "text", b"null"))
    assert sorted(lua.value("local names = {} for name in pairs(lists) do names[#names + 1] = name end return names"))[:2] == [
        "deep_copy",
        "equal",
    ]
    assert lua.values("return getmetatable(url), rawget(base64, 'encode'), type(errors), type(inspect)")[1:] == [None, "table", "function"]


def test_what_a_script_puts_into_a_library_stays() -> None:
    assert Driven().values("text.mine = 1 text.trim = 2 return text.mine, text.trim, text.split('a')") == [1, 2, ["a"]]


ESCAPES = [
    "getmetatable(text)",
    "getmetatable(text).__index",
    "setmetatable(text, {})",
    "debug",
    "host",
    "text.host",
    "async.host",
    "_ENV.host",
    "getmetatable(promise.resolve(1))",
    "getmetatable(async.spawn(print))",
]


@pytest.mark.parametrize("code", ESCAPES)
def test_nothing_of_the_libraries_inside_is_reachable(code: str) -> None:
    lua = Driven()
    assert lua.value(f"local ok, what = pcall(function() return {code} end) return not ok or not what") is True


def test_no_library_hands_out_a_table_of_ours() -> None:
    lua = Driven()
    names = "async base64 errors json lists promise text url uuid"
    code = f"""
        local seen = {{}}
        for name in ('{names}'):gmatch('%a+%d*') do
          for key, value in pairs(_G[name]) do
            if type(value) ~= 'function' then seen[#seen + 1] = name .. '.' .. key end
          end
        end
        return seen"""
    assert lua.value(code) in ([], {"$": ["e"]})


def test_uuids_come_from_the_hosts_numbers_and_leave_random_numbers_alone() -> None:
    first, again, other = Driven(seed=1), Driven(seed=1), Driven(entropy="f" * 32, seed=1)
    code = "return uuid.v4(), uuid.v4()"
    made = first.values(code)
    assert made == again.values(code)
    assert not set(made) & set(other.values(code))
    assert first.value("math.random(1 << 40)") == Driven(seed=1).value("math.random(1 << 40)")
    ids = first.value("local out = {} for i = 1, 2000 do out[i] = uuid.v4() end return out")
    assert len({*ids, *made}) == 2002
    assert all(len(text) == 36 and text[14] == "4" and text[19] in "89ab" for text in ids)


def test_without_numbers_of_the_host_there_is_no_uuid() -> None:
    assert "gave none" in Driven(entropy="").fault("uuid.v4()").message


def test_errors_keep_what_the_script_raised(lua: Driven) -> None:
    assert lua.values("local mine = { 1 } local _, e = errors.try(error, mine) return rawequal(e, mine)") == [True]
    assert lua.values("local v, e = errors.try(function(a, b) return a + b, 9 end, 1, 2) return v, e") == [3, None]
    fault = lua.fault("local _, e = errors.try(function()\n  error('boom')\nend)\nerror(e)")
    assert (fault.message, fault.frames[0].line) == ("boom", 2)


def test_a_limit_is_not_caught_by_errors_try() -> None:
    lua = Driven(memory_bytes=8 * 1024 * 1024)
    assert lua.fault("errors.try(function() local t = {} while true do t[#t + 1] = {} end end) return 'caught'").code == "limit"


def test_a_host_code_cannot_be_forged(lua: Driven) -> None:
    for code in ("interrupted", "internal", "denied", "limit"):
        assert lua.fault(f"local e = errors.new('x', 'forged') e.code = '{code}' error(e)").code == "script"


PRETTY: list[tuple[str, Any]] = [
    ("{ 1, { a = 'x:,[{\"\\\\' }, array{}, object{}, 1.5, true, null }", None),
    ("'x'", None),
    ("array{}", None),
]


@pytest.mark.parametrize("value", [value for value, _ in PRETTY])
def test_pretty_json_is_the_same_value_in_lines(lua: Driven, value: str) -> None:
    plain, pretty = lua.values(f"local v = {value} return json.encode(v), json.encode(v, {{ pretty = 4 }})")
    assert pretty == json.dumps(json.loads(plain), indent=4)


def test_json_that_cannot_cross_names_its_path(lua: Driven) -> None:
    assert "value.a.b[2].c" in lua.fault("json.encode({ a = { b = { 1, { c = print } } } })").message


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("url.parse('https://u:p%40@h.org:80/a?x=1#f')",
         {"scheme": "https", "user": "u", "password": "p@", "host": "h.org", "port": 80, "path": "/a", "query": "x=1", "fragment": "f"}),
        ("url.parse('/only/path')", {"path": "/only/path"}),
        ("url.parse('mailto:a@b.org')", {"scheme": "mailto", "path": "a@b.org"}),
        ("url.build({ scheme = 'https', host = 'h.org', port = 8080, path = 'a', query = { q = 'a b', l = { 1, 2 } }, fragment = 'f' })",
         "https://h.org:8080/a?l=1&l=2&q=a%20b#f"),
        ("url.query('?a=1&b=2&b=3+4&c')", {"a": "1", "b": ["2", "3 4"], "c": ""}),
        ("url.query({ b = true, a = { 1, 'x y' } })", "a=1&a=x%20y&b=true"),
    ],
)  # fmt: skip
def test_urls(lua: Driven, code: str, value: object) -> None:
    assert lua.value(code) == value


@pytest.mark.parametrize("s", ["http://h", "https://u@h.org:1/a/b?x=1&y=2#z", "file:///a/b", "a/b?c", "mailto:x@y.z"])
def test_building_what_was_parsed_gives_the_same_url(lua: Driven, s: str) -> None:
    assert lua.value(f"url.build(url.parse('{s}'))") == s
