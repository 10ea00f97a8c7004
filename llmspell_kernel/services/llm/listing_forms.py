"""The listed models as a text: JSON, a table in Markdown, or an OpenAPI document of a server that has them.  Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .listing import Listed

COLUMNS = ("model", "context", "output", "input $/M", "output $/M", "supports")


def as_json(models: Sequence[Listed]) -> str:
    return json.dumps([model.shown() for model in models], indent=2, ensure_ascii=False)


def as_markdown(models: Sequence[Listed]) -> str:
    """Names hold no character that Markdown takes for its own in code (listing.py)."""
    rows = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    for model in models:
        sizes = [str(size or "unknown") for size in (model.context_window, model.max_output)]
        prices = [_price(price) for price in (model.input_usd, model.output_usd)]
        rows.append(f"| {' | '.join([f'`{model.name}`', *sizes, *prices, ', '.join(model.supports)])} |")
    return "\n".join(rows) + "\n"


def as_openapi(models: Sequence[Listed]) -> str:
    """What `GET /models` of such a server answers, and which names `POST /chat/completions` takes."""
    name = {"type": "string", "enum": [model.name for model in models]}
    model = {"type": "object", "required": ["id", "object", "owned_by"], "properties": {"id": name, "object": {"const": "model"}}}
    model["properties"] |= {"owned_by": {"type": "string"}}  # type: ignore[operator]
    listed = {"type": "object", "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _ref("Model")}}}
    message = {"type": "object", "required": ["role", "content"], "properties": {"role": {"type": "string"}, "content": {"type": "string"}}}
    request = {
        "type": "object",
        "required": ["model", "messages"],
        "properties": {"model": name, "messages": {"type": "array", "items": message}},
    }
    example = {"object": "list", "data": [{"id": model.name, "object": "model", "owned_by": model.provider} for model in models]}
    told = {
        "openapi": "3.1.0",
        "info": {"title": "Models", "version": "1"},
        "paths": {
            "/models": {"get": _operation("listModels", "The models", {"schema": _ref("ModelList"), "example": example})},
            "/chat/completions": {
                "post": {
                    **_operation("chat", "An answer", {"schema": {"type": "object"}}),
                    "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("ChatRequest")}}},
                }
            },
        },
        "components": {"schemas": {"Model": model, "ModelList": listed, "ChatRequest": request}},
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


FORMS = {"json": as_json, "markdown": as_markdown, "openapi": as_openapi}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(id: str, told: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": id, "responses": {"200": {"description": told, "content": {"application/json": content}}}}


def _price(price: float | None) -> str:
    return "unknown" if price is None else f"{price:g}"
