"""A hundred megabytes of output: capped with one notice, its end shown, stopped at once where the user wants that."""

from __future__ import annotations

import time

import psutil
import pytest

from .kernels import KEEP, KEPT, SLACK

MB = 1_000_000
CAP = 5 * 1024 * 1024
FLOODS = {
    "lua": {
        "large pieces": "local s = ('x'):rep(999999) for i = 1, 100 do print(s) end print('the end')",
        "lines": "local s = ('x'):rep(99) for i = 1, 1000000 do print(s) end print('the end')",
        "letters": "for i = 1, 1000000 do print('x') end print('the end')",
    },
    "js": {
        "large pieces": "const s = 'x'.repeat(999999); for (let i = 0; i < 100; i++) console.log(s); console.log('the end')",
        "lines": "const s = 'x'.repeat(99); for (let i = 0; i < 1000000; i++) console.log(s); console.log('the end')",
        "letters": "for (let i = 0; i < 1000000; i++) console.log('x'); console.log('the end')",
    },
}
ENDLESS = {"lua": "while true do print(('x'):rep(99)) end", "js": "for (;;) { console.log('x'.repeat(99)); await sleep(0) }"}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("engine", FLOODS)
@pytest.mark.parametrize("how", FLOODS["lua"])
def test_it_is_capped_with_a_notice_and_its_end_is_shown(kernel, engine, how):
    kernel.settings("limits.script_time_s=60")
    before = psutil.Process(kernel.pid).memory_info().rss
    ran = kernel.cell(engine, FLOODS[engine][how], 120)
    assert ran.status == "ok", ran.reply
    printed = ran.stream("stdout")
    assert len(printed) <= CAP + 10_000
    assert printed.endswith("the end\n")
    if len(printed) >= CAP:
        assert ran.stream("stderr").count(f"[output over {CAP} bytes is not shown, but for its end]") == 1
        assert "bytes left out]" in ran.stream("stderr")
    else:
        assert how == "letters"
    assert psutil.Process(kernel.pid).memory_info().rss - before < 100 * MB
    kernel.survived(ran)


@pytest.mark.parametrize("engine", ENDLESS)
def test_it_can_be_stopped(kernel, engine):
    kernel.cell(engine, KEEP[engine])
    request = kernel.begin(engine, ENDLESS[engine])
    kernel.wait_until("stream", request)
    asked = time.perf_counter()
    kernel.manager.interrupt_kernel()
    ran = kernel.wait(request)
    assert time.perf_counter() - asked < 0.3 * SLACK
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert kernel.cell(engine, KEPT[engine]).result == "5"
    kernel.survived(ran)
