"""Errors of JavaScript say what was called, and where an `await` is missing."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.engines.javascript.calls import MAX_BYTES

from ..session.world import world

PROMISE = "; did you forget `await`? probe.echo(...) may give a promise, as every call of a bridge does"

NO_PIECES = " is not a function, or what it gives cannot be looped over with `for await`"
STREAM = ", which cannot be looped over; llm.stream(...) gives an answer's pieces"


async def failing(*cells: str) -> str:
    async with world() as made:
        for number, cell in enumerate(cells, 1):
            outcome = await made.session.run(cell, engine="javascript", chunk=f"cell[{number}]")
        assert outcome.error is not None
        return outcome.error.message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('const s = probe.echo("x"); s.toUpperCase()', f"s.toUpperCase is not a function{PROMISE}"),
        ("const s = probe.echo([1]); s.map(x => x)", f"s.map is not a function{PROMISE}"),
        ("const s = probe.echo({}); s.text.length", f"cannot read property 'length' of undefined{PROMISE}"),
        ("const {text} = probe.echo({}); text.length", f"cannot read property 'length' of undefined{PROMISE}"),
        ("for (const x of probe.echo([1])) {}", f"value is not iterable{PROMISE}"),
        ("for await (const c of probe.echo([1])) {}", f"probe.echo{NO_PIECES}"),
        ("const o = {}; for await (const c of o.gone(1)) {}", f"o.gone{NO_PIECES}"),
        ("const o = {}; for await (const c of o) {}", "o cannot be looped over with `for await`"),
        ("const llm = {chat: () => 1}; for await (const c of llm.chat('x')) {}", f"llm.chat(...) gives a promise{STREAM}"),
        ("[...probe.echo([1])]", f"value is not iterable{PROMISE}"),
        ("function f() { const v = probe.echo(''); return v.trim() }\nf()", f"v.trim is not a function{PROMISE}"),
        ("let s = probe.echo(1); s = 5; s.trim()", "s.trim is not a function"),
        ("const s = await probe.echo(1); s.trim()", "s.trim is not a function"),
        ("(await probe.echo(1)).trim()", "(await probe.echo(1)).trim is not a function"),
        ("foo = 3; foo()", "foo is not a function"),
        ('JSON.parse("1").trim()', 'JSON.parse("1").trim is not a function'),
        # the engine names one place for both calls
        ('const o = {}; o.go(JSON.parse("1"))', "not a function"),
        ("(() => 1)()()", "not a function"),
        ("const o = {}; o.go(o.of(1))", "not a function"),
        ("const o = {}; o." + "long_name_" * 20 + "()", "o." + ("long_name_" * 20)[:58] + "... is not a function"),
        ("let u; u.foo", "cannot read property 'foo' of undefined"),
        ("throw new TypeError('not a function')", "not a function"),
    ],
)
def test_what_is_not_a_function_is_named_and_a_missing_await_suspected(code: str, message: str) -> None:
    assert asyncio.run(failing(code)) == message


def test_the_cell_that_forgot_the_await_may_be_an_earlier_one() -> None:
    assert asyncio.run(failing("const s = probe.echo(1)", "1", "s.trim()")) == f"s.trim is not a function{PROMISE}"


def test_a_cell_too_long_to_look_through_keeps_the_engines_message() -> None:
    assert asyncio.run(failing("foo = 3; foo() //" + "x" * MAX_BYTES)) == "not a function"
