"""Completion and help for script code, from the catalogue of bridges and the names a state has.  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..bridges._catalogue import completions, help_text
from ..bridges._declaration import BridgeDeclaration, camel
from ..engines._declaration import EngineDeclaration

_PATH = re.compile(r"(?:[A-Za-z_$][\w$]*\s*[.:]\s*)*[A-Za-z_$]?[\w$]*$")
_WORD_REST = re.compile(r"^[\w$]*")


class Token(NamedTuple):
    """`llm.cha|`: path `llm`, prefix `cha`; start is the prefix's offset in the code."""

    path: str
    prefix: str
    start: int


def token_before(code: str, cursor: int) -> Token:
    found = _PATH.search(code[:cursor])
    text = re.sub(r"\s", "", found.group() if found else "").replace(":", ".")
    path, _, prefix = text.rpartition(".")
    return Token(path, prefix, cursor - len(prefix))


def name_at(code: str, cursor: int) -> str:
    """The dotted name under the cursor; a call's name when the cursor is right behind its opening parenthesis."""
    cursor = max(0, min(cursor, len(code)))
    if cursor and code[cursor - 1] == "(":
        cursor -= 1
    rest = _WORD_REST.match(code[cursor:])
    end = cursor + (rest.end() if rest else 0)
    token = token_before(code, end)
    return f"{token.path}.{token.prefix}" if token.path else token.prefix


def complete(
    token: Token, members: Sequence[Sequence[str]], declarations: Mapping[str, BridgeDeclaration], engine: EngineDeclaration
) -> list[str]:
    """The names that fit, sorted: bridges and globals at the top, methods and members behind a dot."""
    names = {str(name) for name, *_ in members}
    if token.path:
        # the name of a kind of thing that the host keeps begins with that of its bridge, and no other bridge need be read
        bridge = declarations.get(token.path.partition(".")[0])
        names |= {item.name for item in completions([bridge] if bridge else [], engine.case).get(token.path, ())}
    else:
        names |= {*declarations, *engine.keywords}
    return sorted(name for name in names if name.startswith(token.prefix))


def describe(
    name: str, members: Sequence[Sequence[str]], declarations: Mapping[str, BridgeDeclaration], engine: EngineDeclaration
) -> str | None:
    """Help for a dotted name: a bridge, a method, else the type of a global or member."""
    owner, _, last = name.rpartition(".")
    if not owner and (bridge := declarations.get(name)) is not None:
        methods = "\n".join(f"  {item.signature}" for item in completions([bridge], engine.case).get(name, ()))
        return f"{name}, version {bridge.version}: {bridge.doc}\n\n{methods}"
    if (bridge := declarations.get(owner)) is not None:
        for name_of, method in bridge.methods.items():
            if last in {spelled for known in (name_of, *method.aliases) for spelled in (known, camel(known))}:
                return help_text(bridge, name_of, engine.case)
    for member, kind in members:
        if member == last:
            return f"{name}: {kind}"
    return None
