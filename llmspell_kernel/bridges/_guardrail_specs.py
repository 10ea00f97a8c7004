"""A guardrail as a script describes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.services.guardrails.checks import MAX_TOPICS, Check, Length, Topics
from llmspell_kernel.services.guardrails.personal import KINDS
from llmspell_kernel.values import Callback

from ._name_patterns import MOST_CHARS, prepare

MOST_NAMES = 50
"""Patterns of models or tools, which are held against each call while the session waits."""


class CheckSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a guardrail looks for; at least one of these.

    - length: how long the texts of a call may be, as {max_chars, min_chars, max_tokens}
    - regex: patterns that must not be there
    - required: patterns that must be there
    - secrets: keys and tokens, by their shapes or because they look like chance
    - personal: personal data, true for all kinds or some of email, phone, iban, card, ip
    - schema: a JSON Schema that the answer, or the JSON in it, must fit
    - topics: what it must be about, as {allowed, model}; a model judges
    - fn: a function that is given each text and {name, on, label}, and returns nothing or true where it is well, false or a reason where it
      is not, or {text} to take its place
    """

    length: Length | None = None
    regex: str | list[str] | None = None
    required: str | list[str] | None = None
    secrets: bool = False
    personal: bool | list[str] = False
    schema: dict[str, Any] | None = None
    topics: Topics | None = None
    fn: Callback | None = None


class GuardrailSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A guardrail.

    - name: its own; a guardrail of the same name is replaced
    - on: "input" looks at what is sent to models, "output" at what they answer, "tool" at arguments and results of tools
    - check: what it looks for
    - action: "block" has the call fail, "redact" puts [kind] in its place, "warn" tells of it, "retry" asks the model again
    - models: only calls of models that are called so, as `openai/*`
    - tools: only calls of tools that are called so, as `web_*`
    - attempts: for "retry", how often a model is asked in all
    """

    name: str
    on: Literal["input", "output", "tool"]
    check: CheckSpec
    action: Literal["block", "redact", "warn", "retry"] = "block"
    models: str | list[str] | None = None
    tools: str | list[str] | None = None
    attempts: Annotated[int, Meta(ge=1, le=10)] = 3


def checked(spec: GuardrailSpec) -> Check:
    """What is to be looked for.  Raises ArgumentError."""
    asked = spec.check
    personal = tuple(KINDS) if asked.personal is True else tuple(asked.personal or ())
    check = Check(asked.length, listed(asked.regex), listed(asked.required), asked.secrets, personal, asked.schema).checked()
    if not spec.name or len(spec.name) > 80:
        raise ArgumentError("a guardrail needs a name of at most 80 characters")
    if check == Check() and asked.topics is None and asked.fn is None:
        raise ArgumentError("the check looks for nothing; give it length, regex, required, secrets, personal, schema, topics or fn")
    if asked.topics is not None and not 1 <= len(asked.topics.allowed) <= MAX_TOPICS:
        raise ArgumentError(f"topics.allowed names 1 to {MAX_TOPICS} topics")
    if spec.action == "retry" and spec.on != "output":
        raise ArgumentError("only answers of models can be asked for again: action 'retry' goes with on = 'output'")
    if spec.action == "redact" and not (check.has_places and asked.topics is None):
        raise ArgumentError(
            "only regex, secrets, personal and fn say what to take out: length, required, schema and topics can block or warn"
        )
    for patterns in (listed(spec.models), listed(spec.tools)):
        if len(patterns) > MOST_NAMES or any(len(pattern) > MOST_CHARS for pattern in patterns):
            raise ArgumentError(f"'models' and 'tools' take at most {MOST_NAMES} patterns of {MOST_CHARS} characters; use *")
        prepare(patterns)
    if (spec.tools is not None and spec.on != "tool") or (spec.models is not None and spec.on == "tool"):
        raise ArgumentError("'tools' goes with on = 'tool', and 'models' with the others")
    return check


def described(spec: GuardrailSpec) -> dict[str, Any]:
    checks = [name for name in CheckSpec.__struct_fields__ if getattr(spec.check, name) not in (None, False, [])]
    described = {"name": spec.name, "on": spec.on, "action": spec.action, "checks": checks}
    return {**described, "models": list(listed(spec.models)), "tools": list(listed(spec.tools))}


def listed(given: str | list[str] | None) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)
