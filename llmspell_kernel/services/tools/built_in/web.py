"""The tools `web_fetch` and `http_request`: by the bridge `http`, so the network policy, its limits and its secrets' rules hold."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.errors import BridgeError
from llmspell_kernel.values import Value

from ..tool import BuiltIn, Calls, ToolSpec
from . import page_text

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ACCEPTED = "text/html,application/xhtml+xml,text/plain;q=0.9,application/json;q=0.9,*/*;q=0.1"
MAX_TEXT_CHARS = 900_000
"""Arguments and results of tools are at most a megabyte."""
BODY_CHARS = 200_000
PAGE_BYTES = 4 * page_text.MAX_CHARS
WORTH_TRYING_AGAIN = (408, 425, 429, 500, 502, 503, 504)
URL = {"type": "string", "minLength": 1, "maxLength": 8_000, "description": "https://host/path"}


async def _fetch(call: Calls, args: dict[str, Any]) -> Value:
    answer = await call("http", "get", args["url"], {"headers": {"accept": ACCEPTED}, "max_bytes": PAGE_BYTES})
    if not answer["ok"]:
        raise BridgeError(
            f"{answer['url']} answered with the status {answer['status']}",
            retryable=answer["status"] in WORTH_TRYING_AGAIN,
            code="http_status",
        )
    most = int(args.get("max_chars", 20_000))
    text, kind = answer["text"], str(answer["headers"].get("content-type", "")).partition(";")[0].strip().lower()
    if _is_page(kind, text):
        return {"url": answer["url"], **await page_text.readable(text, most)}
    if not _is_text(kind):
        raise BridgeError(f"{answer['url']} is {kind[:80]}, and no text; web_fetch reads pages, plain text and JSON", code="not_text")
    return {"url": answer["url"], "title": "", "text": text[:most], "truncated": len(text) > most}


def _is_page(kind: str, text: str) -> bool:
    return kind in ("text/html", "application/xhtml+xml") or (not kind and text.lstrip()[:1] == "<")


def _is_text(kind: str) -> bool:
    known = ("application/json", "application/xml", "application/yaml", "application/x-ndjson")
    return not kind or kind.startswith("text/") or kind in known or kind.endswith(("+json", "+xml"))


async def _request(call: Calls, args: dict[str, Any]) -> Value:
    options = {name: args[name] for name in ("method", "headers", "body", "json") if args.get(name) is not None}
    answer = await call("http", "request", args["url"], options)
    text, most = answer["text"], int(args.get("max_chars", BODY_CHARS))
    return {"status": answer["status"], "headers": answer["headers"], "body": text[:most], "truncated": len(text) > most}


WEB_FETCH = BuiltIn(
    ToolSpec(
        name="web_fetch",
        description="Fetch a web page and give its title and readable text, without menus and scripts; plain text and JSON as they are.",
        parameters={
            "type": "object",
            "properties": {
                "url": URL,
                "max_chars": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_TEXT_CHARS,
                    "default": 20_000,
                    "description": "the most text to give; a longer one is cut",
                },
            },
            "required": ["url"],
            "additionalProperties": False,
        },
        returns={
            "type": "object",
            "properties": {
                "url": {"type": "string", "description": "where the page came from, after redirects"},
                "title": {"type": "string"},
                "text": {"type": "string"},
                "truncated": {"type": "boolean"},
            },
            "required": ["url", "title", "text", "truncated"],
        },
        level="network",
    ),
    _fetch,
)
HTTP_REQUEST = BuiltIn(
    ToolSpec(
        name="http_request",
        description="Make an HTTP request; a status such as 404 is an answer too.",
        parameters={
            "type": "object",
            "properties": {
                "method": {"enum": METHODS, "default": "GET", "description": "the request's method"},
                "url": URL,
                "headers": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 50, "description": "by name"},
                "body": {"type": "string", "maxLength": MAX_TEXT_CHARS, "description": "a text to send as it is"},
                "json": {"description": "a value to send as JSON, in place of body"},
                "max_chars": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_TEXT_CHARS,
                    "default": BODY_CHARS,
                    "description": "the most of the answer's body to give; a longer one is cut",
                },
            },
            "required": ["url"],
            "additionalProperties": False,
        },
        returns={
            "type": "object",
            "properties": {
                "status": {"type": "integer"},
                "headers": {"type": "object", "description": "by name in lower case"},
                "body": {"type": "string"},
                "truncated": {"type": "boolean"},
            },
            "required": ["status", "headers", "body", "truncated"],
        },
        level="network",
    ),
    _request,
)
