"""Tools of an agent as a script writes them: read here, and nowhere else."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from llmspell_kernel.errors import ArgumentError, nearest
from llmspell_kernel.values import Callback, ResourceRef

from .definition import ASKED, ToolEntry

OWN = ("name", "description", "parameters", "run")
OF_AGENT = ("agent", "handoff", "name", "description")
HANDOFF = {
    "type": "object",
    "properties": {"reason": {"type": "string", "description": "why the other one should go on"}},
    "additionalProperties": False,
}


class Part(NamedTuple):
    """`run` is the function of one that the script wrote itself."""

    entry: ToolEntry
    run: Callback | None = None


def part_of(value: Any, where: str) -> Part | str:
    """A text is the name of a registered tool, which its bridge must describe.  Raises ArgumentError naming the tool and what is wrong."""
    match value:
        case str():
            return value
        case ResourceRef():
            raise ArgumentError(f"{where} is a {value.type}; an agent becomes a tool of another one by a:as_tool()")
        case Callback():
            raise ArgumentError(f"{where} is a function; a model must know its name: {{name, description, parameters, run}}")
        case dict() if "agent" in value or "handoff" in value:
            return _of_agent(value, where)
        case dict():
            return _own(value, where)
    raise ArgumentError(f"{where} must be the name of a registered tool, or a table {{name, description, parameters, run}}")


def _own(value: dict[str, Any], where: str) -> Part:
    _known(value, OWN, where)
    name, run = value.get("name"), value.get("run")
    if not isinstance(name, str) or not name:
        raise ArgumentError(f"{where} needs a name: {{name, description, parameters, run}}")
    if not isinstance(run, Callback):
        raise ArgumentError(f"{where} ({name[:80]}) needs run, the function that is called; a registered tool is given by its name alone")
    parameters = value.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(parameters, dict):
        raise ArgumentError(f"the parameters of {where} ({name[:80]}) must be a JSON Schema of an object")
    return Part(ToolEntry(name, "own", _text(value, "description", where), parameters), run)


def _of_agent(value: dict[str, Any], where: str) -> Part:
    _known(value, OF_AGENT, where)
    kind = "handoff" if "handoff" in value else "agent"
    target = value[kind]
    if not isinstance(target, str) or not target or ("agent" in value and "handoff" in value):
        raise ArgumentError(f"{where} must be what a:as_tool() or agent.handoff gave")
    name = _text(value, "name", where)
    make = handoff_to if kind == "handoff" else agent_tool
    return Part(make(target, name, _text(value, "description", where)))


def agent_tool(target: str, name: str, description: str) -> ToolEntry:
    return ToolEntry(name or f"ask_{slug(target)}", "agent", description or "Asks another agent.", dict(ASKED), target)


def handoff_to(target: str, name: str, description: str) -> ToolEntry:
    return ToolEntry(
        name or f"transfer_to_{slug(target)}", "handoff", description or "Gives the conversation to another agent.", dict(HANDOFF), target
    )


def as_table(entry: ToolEntry) -> dict[str, Any]:
    """What a script is given of an agent that is to be a tool; `part_of` reads it again."""
    return {entry.kind: entry.target, "name": entry.name, "description": entry.description}


def slug(name: str) -> str:
    """A part of a tool's name; of an agent without a name, the word for it."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in name).strip("_")
    return kept[:40] if kept and not name.startswith("#") else "agent"


def described(name: str, told: Any) -> ToolEntry:
    """A registered tool by what its bridge says of it."""
    told = told if isinstance(told, dict) else {}
    parameters = told.get("parameters")
    return ToolEntry(
        str(told.get("name", name)),
        "registered",
        str(told.get("description", "")),
        parameters if isinstance(parameters, dict) else {},
        name,
    )


def input_text(value: Any) -> str:
    """What a user says: a text, or anything else as JSON.  Raises ArgumentError for nothing."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if value is None or not text.strip():
        raise ArgumentError("the input is empty; say what the agent is to do")
    return text


def _text(value: dict[str, Any], key: str, where: str) -> str:
    found = value.get(key) or ""
    if not isinstance(found, str):
        raise ArgumentError(f"the {key} of {where} must be a text")
    return found


def _known(value: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in value:
        if key not in known:
            raise ArgumentError(f"{where} has an unknown key '{key[:80]}'{nearest(key[:80], known)}")
