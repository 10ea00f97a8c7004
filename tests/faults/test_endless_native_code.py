"""Work in native code that no hook can stop ends with its limit, soon after its deadline, and the kernel goes on."""

from __future__ import annotations

import pytest

from .kernels import KEEP, SLACK

DEADLINE_S = 0.3
LATEST_S = DEADLINE_S + 1.0 * SLACK
"""A second after its deadline is never to be passed; what comes in 300 ms at the 99th percentile is for `make bench-safety`."""
ENDLESS = {
    "lua": {
        "pattern bomb": 'return ("a"):rep(40):find(("a?"):rep(40) .. ("a"):rep(40) .. "b")',
        "pattern of stars": 'return ("a"):rep(30000):match((".-"):rep(8) .. "b")',
        "search": 'return (("a"):rep(3e6)):find(("a"):rep(1.5e6) .. "b", 1, true)',
        "sort": "local t = {} for i = 1, 3e6 do t[i] = i * 7919 % 3000017 end while true do table.sort(t) end",
        "json": "local t = {} for i = 1, 2e5 do t[i] = {i} end while true do json.encode(t) end",
        "upper": 'local s = ("x"):rep(4e6) while true do s:upper() end',
        "concat": 'table.concat(setmetatable({}, {__index = function() return "" end}), "", 1, 2^31)',
        "gsub": 'return (("a"):rep(1e6)):gsub(("a?"):rep(20) .. "b", "")',
        "pcall": "while true do pcall(function() while true do end end) end",
        "coroutines": "while true do coroutine.wrap(function() while true do end end)() end",
    },
    "js": {
        "regexp": '/^(a+)+$/.test("a".repeat(40) + "b")',
        "indexOf": '"a".repeat(4e6).indexOf("a".repeat(2e6) + "b")',
        "sort": "Array.prototype.sort.call({length: 2 ** 32})",
        "sort numbers": "const a = Array.from({length: 1e6}, (_, i) => (i * 7919) % 1000003); for (;;) a.slice().sort()",
        "json": "const a = Array.from({length: 3e5}, (_, i) => [i]); for (;;) JSON.stringify(a)",
        "bigint": "const a = 7n ** 40000n, b = 3n ** 30000n; for (;;) a % b",
        "promise loop": "for (;;) await null",
        "microtasks": "const again = () => queueMicrotask(again); again(); await new Promise(() => {})",
        "copyWithin": "Array.prototype.copyWithin.call({length: 2 ** 53 - 1}, 1, 0)",
        "normalize": 'const s = "\\u1E9B\\u0323".repeat(2e6); for (;;) s.normalize("NFKD")',
        "replaceAll": 'for (;;) "a".repeat(2e6).replaceAll("a", "b".repeat(4)).length',
        "catch": "for (;;) { try { for (;;) {} } catch (e) {} finally { continue } }",
        "generator": "function* g() { for (;;) { try { yield 1 } finally { for (;;) {} } } } for (const x of g()) break",
    },
}
CASES = [(language, name) for language, codes in ENDLESS.items() for name in codes]


@pytest.fixture(scope="module", autouse=True)
def short(kernel):
    kernel.settings(f"limits.script_time_s={DEADLINE_S}")


@pytest.mark.parametrize(("language", "name"), CASES)
def test_it_is_a_limit_error_in_time(kernel, language, name):
    kernel.cell(language, KEEP[language])
    ran = kernel.cell(language, ENDLESS[language][name])
    assert ran.status == "error", (ran.reply, ran.messages)
    assert ran.reply["ename"] == "LimitError" and f"more than its {DEADLINE_S} s" in ran.error["evalue"], ran.error
    assert ran.seconds < LATEST_S
    kernel.survived(ran)
