"""The tools `file_read`, `file_write` and `file_list`: files in the scripts' folder, by the bridge `storage` and under its policy."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.errors import ScriptError
from llmspell_kernel.values import Value

from ..tool import BuiltIn, Calls, ToolSpec

MAX_TEXT_CHARS = 900_000
"""Arguments and results of tools are at most a megabyte."""
FEW_CHARS = 200_000
MAX_ENTRIES = 1_000
PATH = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1_000,
    "description": "names joined by `/`, counted from the scripts' folder, such as `notes/today.txt`",
}


async def text_of_file(call: Calls, path: str) -> str:
    """Raises what storage.read raises, and ScriptError for a file that is no text."""
    data = await call("storage", "read", path)
    if not isinstance(data, str):
        raise ScriptError(f"{path} is not UTF-8 text; tools read text files only", code="not_text")
    return data


async def _read(call: Calls, args: dict[str, Any]) -> Value:
    text, most = await text_of_file(call, args["path"]), int(args.get("max_chars", FEW_CHARS))
    return {"path": args["path"], "text": text[:most], "truncated": len(text) > most}


async def _write(call: Calls, args: dict[str, Any]) -> Value:
    await call("storage", "append" if args.get("append") else "write", args["path"], args["text"])
    return {"path": args["path"], "chars": len(args["text"])}


async def _list(call: Calls, args: dict[str, Any]) -> Value:
    entries = await call("storage", "list", args.get("folder", ""))
    return {"entries": entries[:MAX_ENTRIES], "truncated": len(entries) > MAX_ENTRIES}


FILE_READ = BuiltIn(
    ToolSpec(
        name="file_read",
        description="Read a text file of the scripts' folder.",
        parameters={
            "type": "object",
            "properties": {
                "path": PATH,
                "max_chars": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_TEXT_CHARS,
                    "default": FEW_CHARS,
                    "description": "the most to give; a longer text is cut",
                },
            },
            "required": ["path"],
            "additionalProperties": False,
        },
        returns={
            "type": "object",
            "properties": {"path": {"type": "string"}, "text": {"type": "string"}, "truncated": {"type": "boolean"}},
            "required": ["path", "text", "truncated"],
        },
    ),
    _read,
)
FILE_WRITE = BuiltIn(
    ToolSpec(
        name="file_write",
        description="Write a text file in the scripts' folder, in place of what was there, or add to its end. Folders on the way are made.",
        parameters={
            "type": "object",
            "properties": {
                "path": PATH,
                "text": {"type": "string", "maxLength": MAX_TEXT_CHARS, "description": "what to write, as UTF-8"},
                "append": {"type": "boolean", "default": False, "description": "add to the end instead of replacing"},
            },
            "required": ["path", "text"],
            "additionalProperties": False,
        },
        returns={
            "type": "object",
            "properties": {"path": {"type": "string"}, "chars": {"type": "integer", "description": "how many were written"}},
            "required": ["path", "chars"],
        },
        level="write",
    ),
    _write,
)
FILE_LIST = BuiltIn(
    ToolSpec(
        name="file_list",
        description="List a folder of the scripts' files, sorted by name.",
        parameters={
            "type": "object",
            "properties": {
                "folder": {
                    "type": "string",
                    "maxLength": 1_000,
                    "default": "",
                    "description": "names joined by `/`; empty is the scripts' folder",
                }
            },
            "additionalProperties": False,
        },
        returns={
            "type": "object",
            "properties": {
                "entries": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string"},
                            "kind": {"enum": ["file", "folder"]},
                            "size_bytes": {"type": "integer"},
                            "modified_s": {"type": "number", "description": "seconds since 1970"},
                        },
                    },
                },
                "truncated": {"type": "boolean", "description": f"were there more than {MAX_ENTRIES:,}?"},
            },
            "required": ["entries", "truncated"],
        },
    ),
    _list,
)
