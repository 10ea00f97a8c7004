"""Makes up hostile scripts out of a grammar and the real names of the API, and runs them: python -m tests.hostile.fuzz_scripts --minutes 5

A seed always makes the same script, so a finding is told by its engine and seed.  What must hold of every script stands in arena.py; here
a script may spoil its own state, which is thrown away, but no worker may die unless a limit was met.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .arena import SHORT, Arena
from .attack_files import ENGINES

LIMITS = {**SHORT, "script_time_s": 0.1, "total_time_s": 0.3, "effects": 200, "end_s": 0.2}
"""Most made-up scripts that run for long run for ever."""
DEEPEST = 4
Names = Sequence[str]


class Grammar:
    """Productions of one language.  `names` are dotted paths of what is really there."""

    locals = ("a", "b", "c", "f", "g", "kept")
    begin = ""
    """Gives the locals something, else most scripts end at their first word."""
    numbers: Sequence[str] = ()
    texts: Sequence[str] = ()
    operators: Sequence[str] = ()
    keys: Sequence[str] = ()

    def __init__(self, names: Names, dice: random.Random) -> None:
        self.names = names
        self.dice = dice

    def script(self) -> str:
        return "\n".join([self.begin, *(self.shielded() for _ in range(self.dice.randint(1, 6))), self.statement(0)])

    def pick(self, *makers: Callable[[int], str], depth: int) -> str:
        return self.dice.choice(makers)(depth + 1)

    def leaf(self, depth: int) -> str:
        return self.dice.choice([*self.locals, self.dice.choice(self.numbers), self.dice.choice(self.texts), self.dice.choice(self.names)])

    def arguments(self, depth: int) -> str:
        return ", ".join(self.value(depth + 1) for _ in range(self.dice.choice((0, 1, 1, 2, 2, 3))))

    def key(self) -> str:
        return self.dice.choice(self.keys)

    def name(self) -> str:
        return self.dice.choice(self.names)

    def local(self) -> str:
        return self.dice.choice(self.locals)

    def shielded(self) -> str:
        """A statement whose error does not end the script."""
        raise NotImplementedError

    def statement(self, depth: int) -> str:
        raise NotImplementedError

    def value(self, depth: int) -> str:
        raise NotImplementedError


class LuaGrammar(Grammar):
    begin = "a, b, c, kept = { x = 1 }, 'abc', probe.ticker(3), array{} function f(...) return ... end function g(n) return n end"
    numbers = ("0", "-1", "1", "2", "7", "1000", "1e5", "2^31", "2^53", "0/0", "1/0", "-1/0", "math.mininteger", "math.maxinteger", "0.5")
    texts = (
        '""',
        '"x"',
        '"\\xff\\0"',
        '("x"):rep(1000)',
        '("a"):rep(1e5)',
        '"%d%s"',
        '"(a*)*b"',
        '"__index"',
        '"{\\"a\\":[1]}"',
        '"return 1"',
    )
    operators = ("+", "-", "*", "//", "%", "..", "==", "<", "and", "or", "&", "<<", "^")
    keys = ("__index", "__newindex", "__call", "__tostring", "__pairs", "__len", "__eq", "__lt", "__concat", "__close", "__mode", "__name",
            "__metatable", "__gc", "__unm", "__add", "x", "n", "code", "message", "id", "type")  # fmt: skip

    def shielded(self) -> str:
        return self.guarded(0)

    def statement(self, depth: int) -> str:
        if depth > DEEPEST:
            return f"{self.local()} = {self.leaf(depth)}"
        return self.pick(self.assign, self.assign, self.call, self.call, self.guarded, self.guarded, self.poison, self.loop, self.function,
                         self.task, self.finish, depth=depth)  # fmt: skip

    def value(self, depth: int) -> str:
        if depth > DEEPEST:
            return self.leaf(depth)
        return self.pick(self.leaf, self.leaf, self.call_value, self.table, self.with_metatable, self.lambda_, self.operation, self.index,
                         self.coroutine, depth=depth)  # fmt: skip

    def block(self, depth: int) -> str:
        return " ".join(self.statement(depth + 1) for _ in range(self.dice.randint(1, 2)))

    def assign(self, depth: int) -> str:
        return f"{self.local()} = {self.value(depth)}"

    def call_value(self, depth: int) -> str:
        return f"{self.dice.choice((self.name(), self.name(), self.local()))}({self.arguments(depth)})"

    def call(self, depth: int) -> str:
        return self.call_value(depth)

    def guarded(self, depth: int) -> str:
        return f"pcall(function() {self.block(depth)} end)"

    def poison(self, depth: int) -> str:
        where = self.dice.choice((f"{self.name()}", f"_G.{self.local()}", f"{self.local()}.{self.key()}"))
        return self.dice.choice((f"{where} = {self.value(depth)}", f"pcall(setmetatable, {self.value(depth)}, {self.table(depth)})",
                                 f"pcall(rawset, {self.value(depth)}, {self.value(depth)}, {self.value(depth)})"))  # fmt: skip

    def loop(self, depth: int) -> str:
        head = self.dice.choice(
            ("for i = 1, 10", "for i = 1, 1000", "for k, v in pairs(_G)", f"for v in {self.value(depth)}", "while true")
        )
        return f"{head} do {self.block(depth)} end"

    def function(self, depth: int) -> str:
        return f"function {self.dice.choice('fg')}(a, b, ...) {self.block(depth)} end"

    def task(self, depth: int) -> str:
        starter = self.dice.choice(("async.spawn", "async.background", "promise.new", "coroutine.wrap", "probe.apply"))
        return f"pcall({starter}, function(a, b) {self.block(depth)} end)"

    def finish(self, depth: int) -> str:
        return self.dice.choice(
            (f"do return {self.arguments(depth)} end", f"error({self.value(depth)})", f"goto done{depth} ::done{depth}::")
        )

    def table(self, depth: int) -> str:
        fields = (
            f"[{self.value(depth + 2)} or 1] = {self.value(depth + 1)}",
            f"{self.key()} = {self.value(depth + 1)}",
            self.value(depth + 1),
        )
        return "{ " + ", ".join(self.dice.choice(fields) for _ in range(self.dice.randint(0, 3))) + " }"

    def with_metatable(self, depth: int) -> str:
        return f"setmetatable({self.table(depth)}, {{ {self.key()} = {self.lambda_(depth)}, {self.key()} = {self.value(depth + 1)} }})"

    def lambda_(self, depth: int) -> str:
        return f"function(a, b) {self.block(depth)} end"

    def operation(self, depth: int) -> str:
        return f"({self.value(depth)} {self.dice.choice(self.operators)} {self.value(depth)})"

    def index(self, depth: int) -> str:
        return f"({self.value(depth)})[{self.value(depth)}]"

    def coroutine(self, depth: int) -> str:
        return f"coroutine.{self.dice.choice(('create', 'wrap'))}({self.lambda_(depth)})"


class JavaScriptGrammar(Grammar):
    begin = (
        "var a = { x: 1 }, b = 'abc', c = await probe.ticker(3), kept = []; function f(...all) { return all } function g(n) { return n }"
    )
    numbers = ("0", "-0", "-1", "1", "7", "1e3", "1e5", "2 ** 31", "2 ** 32", "2 ** 53", "NaN", "Infinity", "-Infinity", "1n", "2n ** 64n")
    texts = ('""', '"x"', '"\\ud800\\0"', '"x".repeat(1e3)', '"a".repeat(1e5)', '"%s%o"', '"__proto__"', '"{\\"a\\":[1]}"', '"1 + 1"',
             "/(a*)*b/", "Symbol.iterator", "undefined", "null", "globalThis")  # fmt: skip
    operators = ("+", "-", "*", "/", "%", "**", "===", "<", "&&", "??", "&", "<<", "instanceof", "in", ",")
    keys = ("then", "toJSON", "toString", "valueOf", "length", "constructor", "get", "set", "x", "message", "code", "stack", "name", "next",
            "[Symbol.iterator]", "[Symbol.asyncIterator]", "[Symbol.toPrimitive]", "[Symbol.species]", "[Symbol.toStringTag]", "0")  # fmt: skip
    traps = ("get", "set", "has", "ownKeys", "getPrototypeOf", "getOwnPropertyDescriptor", "defineProperty", "apply", "construct")

    def shielded(self) -> str:
        return f"try {{ {self.block(0)} }} catch (e) {{}}"

    def statement(self, depth: int) -> str:
        if depth > DEEPEST:
            return f"{self.local()} = {self.leaf(depth)};"
        return self.pick(self.assign, self.assign, self.call, self.call, self.guarded, self.guarded, self.poison, self.loop, self.function,
                         self.task, self.finish, depth=depth)  # fmt: skip

    def value(self, depth: int) -> str:
        if depth > DEEPEST:
            return self.leaf(depth)
        return self.pick(self.leaf, self.leaf, self.call_value, self.object, self.array, self.lambda_, self.operation, self.index, self.proxy,
                         self.generator, self.made, depth=depth)  # fmt: skip

    def block(self, depth: int) -> str:
        return " ".join(self.statement(depth + 1) for _ in range(self.dice.randint(1, 2)))

    def assign(self, depth: int) -> str:
        return f"{self.local()} = {self.value(depth)};"

    def call_value(self, depth: int) -> str:
        return f"{self.dice.choice((self.name(), self.name(), self.local()))}({self.arguments(depth)})"

    def call(self, depth: int) -> str:
        return f"{self.call_value(depth)};"

    def guarded(self, depth: int) -> str:
        return f"try {{ {self.block(depth)} }} catch (e) {{ {self.block(depth)} }} finally {{ {self.block(depth)} }}"

    def poison(self, depth: int) -> str:
        owner = self.dice.choice(("Object.prototype", "Array.prototype", "Promise.prototype", "Function.prototype", "String.prototype",
                                  "Error.prototype", "Map.prototype", "globalThis", self.local()))  # fmt: skip
        key = self.key()
        written = key[1:-1] if key.startswith("[") else f'"{key}"'
        accessor = f"{{ get: {self.lambda_(depth)}, set: {self.lambda_(depth)}, configurable: true }}"
        changes = (f"{owner}[{written}] = {self.value(depth)}", f"{self.name()} = {self.value(depth)}",
                   f"Object.defineProperty({owner}, {written}, {accessor})")  # fmt: skip
        return f"try {{ {self.dice.choice(changes)} }} catch (e) {{}}"

    def loop(self, depth: int) -> str:
        head = self.dice.choice(("for (let i = 0; i < 10; i++)", "for (let i = 0; i < 1000; i++)", f"for (const v of {self.value(depth)})",
                                 "for (;;)", "for (const k in globalThis)"))  # fmt: skip
        return f"{head} {{ {self.block(depth)} }}"

    def function(self, depth: int) -> str:
        return f"function {self.dice.choice('fg')}(a, b) {{ {self.block(depth)} }}"

    def task(self, depth: int) -> str:
        return self.dice.choice(("async.background(async () => { %s });", "queueMicrotask(() => { %s });", "setTimeout(() => { %s }, 0);",
                                 "(async () => { %s })();", "new Promise((a, b) => { %s });", "probe.apply(() => { %s });")) % self.block(depth)  # fmt: skip  # noqa: E501

    def finish(self, depth: int) -> str:
        return self.dice.choice((f"throw {self.value(depth)};", f"({self.value(depth)});"))

    def object(self, depth: int) -> str:
        forms = (lambda: f"{self.key()}: {self.value(depth + 1)}", lambda: f"{self.key()}() {{ {self.block(depth + 1)} }}",
                 lambda: f"get {self.key()}() {{ {self.block(depth + 1)} }}", lambda: f"...{self.leaf(depth)}")  # fmt: skip
        return "({ " + ", ".join(self.dice.choice(forms)() for _ in range(self.dice.randint(0, 3))) + " })"

    def array(self, depth: int) -> str:
        return f"[{self.arguments(depth)}]"

    def lambda_(self, depth: int) -> str:
        return f"(function (a, b) {{ {self.block(depth)} }})"

    def operation(self, depth: int) -> str:
        return f"(({self.value(depth)}) {self.dice.choice(self.operators)} ({self.value(depth)}))"

    def index(self, depth: int) -> str:
        return f"({self.value(depth)})[{self.value(depth)}]"

    def proxy(self, depth: int) -> str:
        return f"new Proxy({self.object(depth)}, {{ {self.dice.choice(self.traps)}: {self.lambda_(depth)} }})"

    def generator(self, depth: int) -> str:
        return f"(function* () {{ yield {self.value(depth)}; {self.block(depth)} }})()"

    def made(self, depth: int) -> str:
        return f"new {self.name()}({self.arguments(depth)})"


GRAMMARS: Mapping[str, type[Grammar]] = {"lua": LuaGrammar, "javascript": JavaScriptGrammar}


def real_names(arena: Arena, engine: str) -> list[str]:
    """Dotted paths of all functions that a script of the engine has."""

    async def read() -> list[str]:
        async def members(path: str) -> list[list[str]]:
            return await arena.session.ask("members", path, engine=engine, state="neighbour") or []  # type: ignore[no-any-return]

        found = []
        for name, kind in await members(""):
            if name in ("_G", "globalThis") or name.startswith("neighbour"):
                continue
            found += [name] if kind == "function" else []
            found += [f"{name}.{key}" for key, what in await members(name) if what == "function"]
            if engine == "javascript" and name[0].isupper():
                found += [f"{name}.prototype.{key}.call" for key, what in await members(f"{name}.prototype") if what == "function"]
        return sorted(path for path in found if path.replace(".", "").isidentifier())

    return arena.run(read())


def made_up(engine: str, names: Names, seed: int) -> str:
    return GRAMMARS[engine](names, random.Random(f"{engine} {seed}")).script()


def wrong_with(arena: Arena, engine: str, code: str) -> list[str]:
    end, found = arena.play(engine, [code], ruins=True)
    return [*found, f"the worker died: {arena.last!r}"] if end == "lost" else found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=5.0)
    options.add_argument("--seed", type=int, default=0, help="the first of the seeds that are tried in order")
    given = options.parse_args()
    until, tried, findings, seed = time.monotonic() + given.minutes * 60, 0, 0, given.seed
    with tempfile.TemporaryDirectory() as folder:
        arena = Arena(Path(folder), shared=True, **LIMITS)
        names = {engine: real_names(arena, engine) for engine in ENGINES}
        while time.monotonic() < until:
            for engine in ENGINES:
                code = made_up(engine, names[engine], seed)
                if wrong := wrong_with(arena, engine, code):
                    findings += 1
                    print(f"--- {engine} seed {seed}\n{code}\n" + "\n".join(f"!!! {text}" for text in wrong), flush=True)
                tried += 1
            seed += 1
        arena.close()
    print(f"{tried} scripts (seeds {given.seed} to {seed - 1}), {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
