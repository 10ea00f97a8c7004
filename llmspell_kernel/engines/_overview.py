"""What is said of the engines to people: plain facts, one dict an engine."""

from __future__ import annotations

from typing import Any

from ..installation import version_of
from ._declaration import FEATURES, EngineDeclaration
from ._registry import EngineRegistry


def overview(registry: EngineRegistry) -> list[dict[str, Any]]:
    """All engines in the order of their names, and those that do not load: `problem` is why one cannot run, "" for one that can."""
    working = [_facts(engine, registry.problem(engine.name)) for engine in registry]
    failed = [
        {**_facts(EngineDeclaration(name, name, ""), f"the engine '{name}' does not load: {why}"), "magics": []}
        for name, why in registry.failed.items()
    ]
    return sorted([*working, *failed], key=lambda facts: str(facts["name"]))


def _facts(engine: EngineDeclaration, problem: str) -> dict[str, Any]:
    return {
        "name": engine.name,
        "title": engine.title,
        "language_version": engine.language_version,
        "aliases": list(engine.aliases),
        "magics": [f"%%{name}" for name in engine.names],
        "file_endings": list(engine.file_endings),
        "mime_types": list(engine.mime_types),
        "features": {feature: feature in engine.features for feature in FEATURES},
        "library": engine.library,
        "library_version": (version_of(engine.library) or "") if engine.library else "",
        "kernelspec": engine.kernelspec,
        "problem": problem,
    }
