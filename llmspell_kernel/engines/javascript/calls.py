"""What the engine leaves out of "not a function": which expression it was, and that an `await` is missing before it.

Read from the source alone, by the syntax tree: the values are the script's, and looking at them could run its code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from .rewrite import parse

MAX_BYTES = 64 * 1024
"""Of code that is looked through: walking its tree takes a microsecond a node, and a script may fail in many places."""
MAX_SHOWN = 60
_NOT_CALLED = "not a function"
_NOT_ITERABLE = "value is not iterable"
_OF_UNDEFINED = re.compile(r"cannot read property '.*' of undefined", re.DOTALL)
_AWAIT = "; did you forget `await`? "


def told(message: str, code: bytes, line: int, column: int, earlier: Iterable[bytes]) -> str:
    """The message of a TypeError at a place of the code that ran (line and byte column from 1), with what the source adds to it.

    `earlier` is the code of other cells, the latest first, where what a name stands for may have been said.
    """
    is_call, is_loop = message == _NOT_CALLED, message == _NOT_ITERABLE
    if not (is_call or is_loop or _OF_UNDEFINED.fullmatch(message)) or len(code) > MAX_BYTES:
        return message
    root = parse(code)
    node = root.descendant_for_point_range((line - 1, column - 1), (line - 1, column - 1))
    if node is None:
        return message
    if is_call and (looped := _looped_over(node)) is not None:
        return _no_pieces(looped)
    if is_call:
        node = _called(node)
        if node is None:
            return message
        message = f"{_shown(node)} is {_NOT_CALLED}"
    elif not is_loop:
        node = node.parent
    if node is None:
        return message
    thing = _outermost(node) if is_loop else node.child_by_field_name("object") if node.type == "member_expression" else None
    call = _unawaited(thing, [root], earlier)
    if call is None:
        return message
    return f"{message}{_AWAIT}{_shown(call.child_by_field_name('function'))}(...) may give a promise, as every call of a bridge does"


def _looped_over(node: Any) -> Any:
    """What `for await` goes over, where the engine's place is the end of it: what failed is then the asking for its pieces."""
    whole = _outermost(node)
    loop = whole.parent
    is_await = loop is not None and loop.type == "for_in_statement" and any(part.type == "await" for part in loop.children)
    return whole if is_await and loop.child_by_field_name("right") == whole else None


def _no_pieces(looped: Any) -> str:
    """The engine names one place for a call that cannot be made and for one whose value has no pieces."""
    function = looped.child_by_field_name("function") if looped.type == "call_expression" else None
    if function is None:
        return f"{_shown(looped)} cannot be looped over with `for await`"
    if function.text == b"llm.chat":
        return "llm.chat(...) gives a promise, which cannot be looped over; llm.stream(...) gives an answer's pieces"
    return f"{_shown(function)} is not a function, or what it gives cannot be looped over with `for await`"


def _called(node: Any) -> Any:
    """What was called at that place: the engine tells the callee's end, or an argument.  None where that may be one of two calls."""
    while (parent := node.parent) is not None:
        if parent.type == "call_expression" and parent.child_by_field_name("function") == node:
            return None if _gives_to_a_call(parent) else node
        if parent.type == "arguments":
            has_call = any(found.type in ("call_expression", "new_expression") for found in _nodes(node))
            return None if has_call or parent.parent is None else parent.parent.child_by_field_name("function")
        node = parent
    return None


def _gives_to_a_call(call: Any) -> bool:
    """Is its value called, or an argument of another call?  Then that one may be what failed, at the same place."""
    node = call
    while (parent := node.parent) is not None and not ("function" in parent.type or parent.type.endswith("statement")):
        if parent.type == "arguments" or (parent.type == "call_expression" and node == call):
            return True
        node = parent
    return False


def _outermost(node: Any) -> Any:
    """The whole expression that a place is the end of: what a loop goes over."""
    while node.parent is not None and node.parent.type in ("member_expression", "call_expression"):
        node = node.parent
    return node


def _unawaited(node: Any, roots: list[Any], earlier: Iterable[bytes]) -> Any:
    """The call whose value is used as it is, without `await`: the thing itself, or what the name at its beginning was set to."""
    while node is not None and node.type == "member_expression":
        node = node.child_by_field_name("object")
    if node is None:
        return None
    if node.type == "call_expression":
        return node if _may_be_async(node) else None
    if node.type != "identifier":
        return None
    name, left = node.text, MAX_BYTES
    for root in _trees(roots, earlier, name, left):
        values = [found for node in _nodes(root) if (found := _value_of(node, name)) is not None]
        if values:  # the latest word on it in that cell
            return values[-1] if values[-1].type == "call_expression" and _may_be_async(values[-1]) else None
    return None


def _trees(roots: list[Any], earlier: Iterable[bytes], name: bytes, left: int) -> Iterator[Any]:
    yield from roots
    for code in earlier:
        if name in code:
            left -= len(code)
            if left < 0:
                return
            yield parse(code)


def _nodes(node: Any) -> Iterator[Any]:
    """All of a tree, in the order of the text."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.named_children))


def _value_of(declarator: Any, name: bytes) -> Any:
    """What a declaration or assignment sets that name to; None for any other node."""
    if declarator.type not in ("variable_declarator", "assignment_expression"):
        return None
    target = declarator.child_by_field_name("name") or declarator.child_by_field_name("left")
    if target is None or name not in {target.text, *(part.text for part in target.named_children)}:
        return None
    return declarator.child_by_field_name("value") or declarator.child_by_field_name("right")


def _may_be_async(call: Any) -> bool:
    """Not what the language itself brings (`JSON.parse(...)`, `Object.keys(...)`), but for promises."""
    function = call.child_by_field_name("function")
    while function is not None and function.type in ("member_expression", "call_expression"):
        function = function.child_by_field_name("object") or function.child_by_field_name("function")
    if function is None or function.type != "identifier":
        return False
    return bool(function.text[:1].islower() or function.text == b"Promise")


def _shown(node: Any) -> str:
    text = " ".join(node.text.decode("utf-8", "replace").split())
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
