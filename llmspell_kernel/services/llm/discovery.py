"""The models that a server says it has: an Ollama server, or one that speaks OpenAI's API.  Pure: what to ask, and what an answer says.

The server is not trusted: its answer is bounded in size before it comes here, and names that no call could take are left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from llmspell_kernel.errors import BridgeError

OLLAMA_PATH, OPENAI_PATH = "/api/tags", "/models"
MOST_MODELS = 5_000
_ID = re.compile(r"[A-Za-z0-9@][A-Za-z0-9._:@/+-]{0,199}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")


class Asked(NamedTuple):
    """One URL to ask, and what its answer would be."""

    url: str
    kind: str
    prefix: str
    """Of the names that calls take."""


def to_ask(address: str, provider: str) -> list[Asked]:
    """In this order, until one answers in its form.  `provider` is "" where an address was given."""
    base = address.strip().rstrip("/")
    if "://" not in base:
        base = f"http://{base}"
    if provider in ("ollama", "ollama_chat"):
        return [Asked(base + OLLAMA_PATH, "ollama", provider)]
    if provider or base.endswith(("/v1", "/openai")):
        return [Asked(base + OPENAI_PATH, "openai", provider or "openai")]
    return [Asked(base + OLLAMA_PATH, "ollama", "ollama_chat"), Asked(f"{base}/v1{OPENAI_PATH}", "openai", "openai")]


def models_in(text: str, asked: Asked) -> tuple[list[dict[str, Any]], int]:
    """What the answer names, and how many of it were left out.  Raises BridgeError `bad_answer`."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        found = None
    listed = found.get("models" if asked.kind == "ollama" else "data") if isinstance(found, Mapping) else None
    if not isinstance(listed, list):
        raise BridgeError(
            f"{asked.url} answers, but not with a list of models in the form of {asked.kind}; check that its address is that of a model server",
            code="bad_answer",
        )
    read = _ollama if asked.kind == "ollama" else _openai
    models = list(_distinct(model for entry in listed[:MOST_MODELS] if isinstance(entry, Mapping) and (model := read(entry, asked.prefix))))
    return models, len(listed) - len(models)


def _ollama(entry: Mapping[str, Any], prefix: str) -> dict[str, Any] | None:
    named = _named(entry.get("model") or entry.get("name"), prefix)
    if named is None:
        return None
    details = entry.get("details")
    details = details if isinstance(details, Mapping) else {}
    words = {
        "family": details.get("family"),
        "parameters": details.get("parameter_size"),
        "quantization": details.get("quantization_level"),
    }
    size = entry.get("size")
    sized = {"size_bytes": size} if isinstance(size, int) and 0 < size < 2**53 else {}
    return {**named, **sized, **_words(words)}


def _openai(entry: Mapping[str, Any], prefix: str) -> dict[str, Any] | None:
    named = _named(entry.get("id"), prefix)
    return None if named is None else {**named, **_words({"owner": entry.get("owned_by")})}


def _named(id: Any, prefix: str) -> dict[str, Any] | None:
    if not isinstance(id, str) or not _ID.fullmatch(id) or ".." in id or "//" in id:
        return None
    return {"name": f"{prefix}/{id}", "id": id}


def _words(found: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in found.items() if isinstance(value, str) and _WORD.fullmatch(value)}


def _distinct(models: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    seen: set[str] = set()
    for model in models:
        if model["name"] not in seen:
            seen.add(model["name"])
            yield model
