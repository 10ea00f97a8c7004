"""Plays the attacks of compared.toml against plain lupa and against us, and writes the table of docs/security.md.

python -m tests.hostile.compare
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_kernel.policy.limits import MiB
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.settings import Settings

from .arena import peak_growth, told

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "security.md"
HEAD, END = "<!-- compared: attacks -->\n", "<!-- end of what is compared -->\n"
PATIENCE_S = 4.0
"""No answer until then is harm; a script's own time is a second."""
REACHED = "reached-51f0"
CAP_BYTES = 64 * MiB
MUCH_MEMORY, MUCH_OUTPUT = 3 * CAP_BYTES, 20 * MiB
SECRET, VARIABLE = "7e3c91a6b1f0", "COMPARED_API_KEY"
"""Reads like a wrong number, so that a parser names all of it."""
COLUMNS = ("a script tries to", "go-llmspell", "rs-llmspell", "plain lupa (reproduced)", "us (reproduced)")


class Outcome(NamedTuple):
    """`harm` is "" where the attack came to nothing; `ended` says how."""

    harm: str
    ended: str = ""

    def __str__(self) -> str:
        return f"**harm**: {self.harm}" if self.harm else f"contained: {self.ended}"


class Attack(NamedTuple):
    name: str
    title: str
    lua: str
    next: str
    after: str
    go: str
    rs: str


def read() -> list[Attack]:
    empty = dict.fromkeys(Attack._fields, "")
    return [Attack(**{**empty, **entry, "name": name}) for name, entry in _raw()["attacks"].items()]


def sources() -> Mapping[str, str]:
    """Address by name."""
    return dict(_raw()["sources"])


def _raw() -> dict[str, Any]:
    return tomllib.loads((HERE / "compared.toml").read_text("utf-8"))


class Place(NamedTuple):
    """Where an attack finds what it is after."""

    folder: Path

    @property
    def made(self) -> Path:
        return self.folder / "made"

    def fill(self, text: str) -> str:
        (self.folder / "secret").write_text(SECRET)
        values = {"FILE": str(self.folder / "secret"), "MADE": str(self.made), "VARIABLE": VARIABLE, "SECRET": SECRET, "REACHED": REACHED}
        return re.sub("@([A-Z]+)@", lambda match: values[match[1]], text)


def harm_of(place: Place, text: str, growth: int, output_bytes: int) -> str:
    if place.made.exists():
        return "it is done"
    if SECRET in text:
        return "the secret is told"
    if REACHED in text:
        return "it is reached"
    if growth > MUCH_MEMORY:
        return "the memory grows far over its cap"
    return "all of it is printed" if output_bytes > MUCH_OUTPUT else ""


# -- plain lupa -------------------------------------------------------------------------------------------------------------------------------


def against_lupa(attack: Attack) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        given = {"lua": place.fill(attack.lua), "after": attack.after, "secret": SECRET}
        if attack.next:
            given["next"] = attack.next
        with open(place.folder / "output", "wb") as output:
            done = _watched(json.dumps(given), output)
        if done is None:
            return Outcome("it never ends")
        if done.returncode != 0:
            return Outcome(f"the process ends ({_how(done.returncode)})")
        said = json.loads(done.stderr.strip().splitlines()[-1])
        harm = harm_of(place, said["told"], said["growth"], (place.folder / "output").stat().st_size)
        return Outcome(harm, _kind(said["told"]))


def _watched(given: str, output: Any) -> subprocess.CompletedProcess[str] | None:
    environment = {**os.environ, VARIABLE: SECRET}
    try:
        return subprocess.run(
            [sys.executable, str(HERE / "plain_lupa.py")],
            input=given,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            timeout=PATIENCE_S,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        )
    except subprocess.TimeoutExpired:
        return None


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _kind(text: str) -> str:
    """The kind of an error, which is the same on every machine, unlike its text."""
    kind = text.partition(":")[0]
    return kind if kind.endswith("Error") else "it comes to nothing"


# -- us ---------------------------------------------------------------------------------------------------------------------------------------


def lines() -> list[str]:
    """What the host knows."""
    return ["one"]


def blob() -> bytes:
    """A megabyte."""
    return b"x" * 1_000_000


async def against_us(attack: Attack) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        settings = Settings(limits={"script_time_s": 1.0, "memory_bytes": CAP_BYTES})
        async with Session(settings=settings) as session:
            for function in (lines, blob):
                session.expose(function)
            code = "local lines, blob = host.lines, host.blob\n" + place.fill(attack.lua)
            return await _played(session, attack, code, place)


async def _played(session: Session, attack: Attack, code: str, place: Place) -> Outcome:
    await session.run("")
    worker = session.states[("main", "lua")].worker
    assert worker is not None
    sampler = asyncio.create_task(peak_growth(worker.pid))
    try:
        async with asyncio.timeout(PATIENCE_S):
            result = await session.run(code)
    except TimeoutError:
        return Outcome("it never ends")
    sampler.cancel()
    growth = await sampler
    answer = await session.run("return 1 + 1")
    if answer.values != [2]:
        return Outcome(f"afterwards 1 + 1 is {answer!r}")
    text = told(await session.run(attack.next, state="next") if attack.next else result)
    return Outcome(harm_of(place, text, growth, len(str(result.output))), _ended(result))


def _ended(result: ExecutionResult) -> str:
    if result.error is not None:
        return type(result.error).__name__
    return "capped with a notice" if "is not shown" in str(result.output) else "it comes to nothing"


# -- the table --------------------------------------------------------------------------------------------------------------------------------


def rows() -> Iterator[tuple[str, ...]]:
    for attack in read():
        yield (attack.title, _cited(attack.go), _cited(attack.rs), str(against_lupa(attack)), str(asyncio.run(_with_key(attack))))


async def _with_key(attack: Attack) -> Outcome:
    os.environ[VARIABLE] = SECRET
    try:
        return await against_us(attack)
    finally:
        del os.environ[VARIABLE]


def _cited(text: str) -> str:
    return f"cited: {text}" if text else "unknown"


def table() -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows()]
    drawn = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([*drawn, "", *(f"[{name}]: {address}" for name, address in sources().items()), ""])


def written(page: str, text: str) -> str:
    before, found, rest = page.partition(HEAD)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"the page has no part between {HEAD.strip()} and {END.strip()}")
    return f"{before}{HEAD}{text}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8"), table()))
