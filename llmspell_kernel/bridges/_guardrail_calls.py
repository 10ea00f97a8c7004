"""What of a call to a model or tool a guardrail looks at, and where what comes of that is put."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.services.guardrails.views import View, sent
from llmspell_kernel.values import Callback

from ._bridge import InterceptedCall

STREAMS = ("llm.stream", "llm.stream_chat")
ANSWERED = ("llm.chat", "llm.complete", "llm.generate", "llm.object", *STREAMS)
PROMPTED = (*ANSWERED, "llm.embed")
TOOLS = ("tools.call", "agent.tool")
PROMPTS, OPTIONS, ARGUMENTS = ("prompt", "texts"), ("each", "options"), "arguments"
"""The names of parameters that hold what is sent, how it is to be answered, and what a tool is given."""
STREAM, RUN, MODEL, GIVEN = "stream", "guardrails", "model", "given"
"""Notes of a call: its buffered stream, the guardrails that have looked at its answer, the model that it asks, and whether the function of a
script was given the stream's pieces."""


def messages_of(call: InterceptedCall) -> list[Any]:
    prompt = call.argument("prompt")
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [*prompt]


def answer_of(call: InterceptedCall) -> Any:
    stream = call.notes.get(STREAM)
    return call.value if stream is None else stream.content


def put_answer(call: InterceptedCall, value: Any) -> None:
    stream = call.notes.get(STREAM)
    if stream is None:
        call.value = value
    else:
        stream.content = call.text = value


def is_whole(call: InterceptedCall, value: Any) -> bool:
    """Is it all that is known of an answer, and not its text alone?"""
    return call.label == "llm.generate" and isinstance(value, dict) and "text" in value


def with_seen(call: InterceptedCall, value: Any, seen: View) -> Any:
    """An answer with what has come of a view of it."""
    if not is_whole(call, value):
        return seen.said
    return {**value, "text": seen.said} | ({} if seen.beside is None else {"tool_calls": seen.beside})


def is_piecewise(call: InterceptedCall) -> bool:
    """Is a function given the answer's pieces?"""
    return isinstance(call.argument("each"), Callback)


def _prompt(call: InterceptedCall) -> str:
    """The name of the parameter that holds what is sent."""
    return next((name for name in PROMPTS if name in call.parameters), PROMPTS[0])


def _tables(call: InterceptedCall) -> dict[str, dict[str, Any]]:
    """Every table of options by its parameter, also one that another stands before: whatever of them is sent has been looked at."""
    return {name: given for name in OPTIONS if isinstance(given := call.argument(name), dict)}


def options_of(call: InterceptedCall) -> dict[str, Any]:
    """Those that the answer is asked for with."""
    if (most := call.argument("max_tokens")) is not None:
        return {"max_tokens": most}
    given = (call.argument(name) for name in OPTIONS)
    first = next((one for one in given if one is not None and not isinstance(one, Callback)), None)
    return first if isinstance(first, dict) else {}


def sent_of(call: InterceptedCall) -> View:
    return sent(call.argument(_prompt(call)), list(_tables(call).values()))


def put_sent(call: InterceptedCall, seen: View) -> None:
    """Puts a view of what is sent in its place."""
    prompt, *systems = seen.said
    call.set_argument(_prompt(call), prompt)
    for (name, options), system, others in zip(_tables(call).items(), systems, seen.beside, strict=False):
        call.set_argument(name, {**options, **others} | ({"system": system} if "system" in options else {}))
