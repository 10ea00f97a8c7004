"""Other names of methods, most as go-llmspell spells them: data, in one place.

An alias is for scripts that come from there.  It takes what the method takes; where go-llmspell's function takes something else
(`llm.stream_chat` with a function, `llm.set_provider`), there is a method of that name.
"""

from __future__ import annotations

from collections.abc import Mapping

SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "llm": {
        "quick_prompt": "chat",
        "generate_text": "chat",
        "get_model": "model",
        "get_provider": "provider",
        "get_current_provider": "provider",
    },
    "tools": {"execute": "call"},
    "llm.stream": {"cancel": "close"},
}
"""By bridge or kind of resource: the other name, and the method that it is."""


def spellings_of(bridge: str, method: str) -> tuple[str, ...]:
    return tuple(sorted(alias for alias, name in SPELLINGS.get(bridge, {}).items() if name == method))
