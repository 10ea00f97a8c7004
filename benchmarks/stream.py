"""What a long answer, shown live, sends to the front end: messages in its busiest second, and bytes in all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable
from kernel_client import Kernel, Message

TOKENS = 2_000
DELAY_S = 0.0045
"""The event loop waits whole milliseconds, so this gives 180 to 200 a second; slower means longer, and so more messages and bytes in all."""
MESSAGES_MOST, BYTES_MOST = 35, 300_000
MODULE = "_esm"
CHAT = {"lua": '{magic}\nreturn #llm.chat("go on")', "js": '{magic}\n(await llm.chat("go on")).length'}


def busiest_second(arrivals: Sequence[float]) -> int:
    """The most arrivals in any one second."""
    most = first = 0
    for last, arrived in enumerate(arrivals):
        while arrived - arrivals[first] > 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def module_bytes(messages: Sequence[Message]) -> int:
    """The widget's module within the messages that open the view: sent once, and the same for an answer of any length."""
    opened = [message.content["data"].get("state", {}) for message in messages if message.kind == "comm_open"]
    return sum(len(json.dumps(state[MODULE], ensure_ascii=False).encode()) for state in opened if MODULE in state)


def streamed(language: Language, runs: Runs) -> Iterator[Figure]:
    tokens = runs.of(TOKENS, quick=200)
    chunks = [f"token{number % 100:02d} " for number in range(tokens)]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.json")
        script.write_text(json.dumps([{"chunks": chunks, "delay_s": DELAY_S}]))
        environment = {"LLMSPELL_MODEL": "spell/scripted", "LLMSPELL_SCRIPT": str(script), "LLMSPELL_DISPLAY": "live"}
        with Kernel("llmspell", environment) as kernel:
            ran = kernel.ready().must_run(CHAT[language.short].format(magic=language.magic))
    if ran.result != str(len("".join(chunks))):
        raise Unmeasurable(f"the answer has {ran.result} characters, not {len(''.join(chunks))}")
    if not any(message.kind == "comm_open" for message in ran.messages):
        raise Unmeasurable("no live view was opened")
    module = module_bytes(ran.messages)
    total = sum(message.bytes for message in ran.messages) - module
    most = busiest_second([message.arrived for message in ran.messages])
    pace = f"{len(ran.messages)} messages in {ran.seconds:.1f} s, {tokens / ran.seconds:.0f} tokens a second"
    yield Figure(
        f"stream.messages_{language.short}",
        f"{tokens:,} tokens live in {language.title}: IOPub messages of any kind in the busiest second",
        f"<= {MESSAGES_MOST}",
        f"{most}",
        pace,
        most <= MESSAGES_MOST,
        {"arrivals": [message.arrived - ran.messages[0].arrived for message in ran.messages]},
    )
    yield Figure(
        f"stream.bytes_{language.short}",
        f"{tokens:,} tokens live in {language.title}: bytes on IOPub without the widget's module",
        f"<= {BYTES_MOST / 1e6:g} MB",
        f"{total / 1e6:.3f} MB",
        f"the text alone {len(''.join(chunks)) / 1e6:.3f} MB; the module {module / 1e6:.3f} MB",
        total <= BYTES_MOST,
        {"bytes": [total], "module_bytes": [module]},
    )


MEASURES: dict[str, Measure] = {f"stream.{language.short}": partial(streamed, language) for language in LANGUAGES}
