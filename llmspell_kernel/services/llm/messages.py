"""From what a script gives as a prompt to checked messages in the OpenAI form.

The script's short forms of tools and tool calls (`{name, ...}` without the "function" wrapping) are widened here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from llmspell_kernel.errors import ArgumentError, nearest

from .content import part_of

ROLES = ("system", "developer", "user", "assistant", "tool")
KEYS = ("role", "content", "name", "tool_calls", "tool_call_id")
FUNCTION_KEYS = ("name", "description", "parameters", "strict")
FUNCTION_FORM = "{name, description, parameters}"


def messages_of(prompt: str | Sequence[Any], system: str | None) -> list[dict[str, Any]]:
    """The messages to send.  Raises ArgumentError naming the message and the key that are wrong."""
    if isinstance(prompt, str):
        messages = [{"role": "user", "content": prompt}]
    elif not prompt:
        raise ArgumentError("the prompt has no messages; give a text or a list of {role, content} tables")
    else:
        messages = [_message(entry, f"message {number}") for number, entry in enumerate(prompt, 1)]
    return [{"role": "system", "content": system}, *messages] if system else messages


def tools_of(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tools in the OpenAI form, all of them functions of the script.  Raises ArgumentError.

    A tool that the provider runs itself (a web search, an MCP server) would reach what no policy allows and cost what no budget has reserved,
    and litellm takes some of those by a key alone: so no key goes on that is not known here.
    """
    return [
        _whole_tool(tool, f"tool {number}") if "type" in tool else _tool(tool, f"tool {number}") for number, tool in enumerate(tools, 1)
    ]


def _whole_tool(tool: Mapping[str, Any], where: str) -> dict[str, Any]:
    if tool["type"] != "function":
        raise ArgumentError(
            f"{where} has the type {tool['type']!r:.60}; scripts give only functions, which they run themselves: {FUNCTION_FORM}"
        )
    _refuse_others(tool, ("type", "function"), where)
    function = tool.get("function")
    if not isinstance(function, Mapping):
        raise ArgumentError(f"{where} of the type 'function' needs a table 'function': {FUNCTION_FORM}")
    _refuse_others(function, FUNCTION_KEYS, where)
    _tool(function, where)
    return {"type": "function", "function": dict(function)}


def _refuse_others(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise ArgumentError(f"{where} has an unknown key '{key}'{nearest(str(key), known)}")


def _tool(tool: Mapping[str, Any], where: str) -> dict[str, Any]:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise ArgumentError(f"{where} needs a name: {FUNCTION_FORM}")
    parameters = tool.get("parameters", {"type": "object", "properties": {}})
    if not isinstance(parameters, Mapping):
        raise ArgumentError(f"the parameters of {where} ({name}) must be a JSON schema table, not {_kind(parameters)}")
    return {"type": "function", "function": {"name": name, "description": str(tool.get("description", "")), "parameters": dict(parameters)}}


def _message(entry: Any, where: str) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise ArgumentError(f"{where} must be a table {{role, content}}, not {_kind(entry)}")
    _refuse_others(entry, KEYS, where)
    role = entry.get("role")
    if role not in ROLES:
        raise ArgumentError(f"{where} has the role {role!r}; expected one of {', '.join(ROLES)}")
    message: dict[str, Any] = {"role": role, "content": _content(entry, where)}
    if entry.get("name") is not None:
        message["name"] = str(entry["name"])
    if entry.get("tool_calls"):
        message["tool_calls"] = [_tool_call(call, where) for call in entry["tool_calls"]]
    if role == "tool":
        if not isinstance(entry.get("tool_call_id"), str):
            raise ArgumentError(f"{where} has the role tool and needs tool_call_id, the id of the call it answers")
        message["tool_call_id"] = entry["tool_call_id"]
    return message


def _content(entry: Mapping[str, Any], where: str) -> str | list[dict[str, Any]] | None:
    content = entry.get("content")
    if isinstance(content, str):
        return content
    if content is None and entry["role"] == "assistant" and entry.get("tool_calls"):
        return None
    if isinstance(content, Sequence) and content and all(isinstance(part, Mapping) and "type" in part for part in content):
        return [part_of(part, where) for part in content]
    raise ArgumentError(f"the content of {where} must be a text, or a list of parts with a type, not {_kind(content)}")


def _tool_call(call: Any, where: str) -> dict[str, Any]:
    if not isinstance(call, Mapping):
        raise ArgumentError(f"a tool call of {where} must be a table {{id, name, arguments}}, not {_kind(call)}")
    if "function" in call:
        return dict(call)
    if not isinstance(call.get("id"), str) or not isinstance(call.get("name"), str):
        raise ArgumentError(f"a tool call of {where} needs an id and a name")
    arguments = call.get("arguments", {})
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": text}}


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a text", bytes: "bytes", list: "a list", dict: "a table"}
    return names.get(type(value), type(value).__name__)
