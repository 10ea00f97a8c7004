"""The tool `json_query`: JMESPath, by the library jmespath, whose work is counted.

Rule: a query of some hundred characters can double a value a hundred times.  So every step counts, and every value that is made counts with all it
holds, each part as often as it is there, before anything goes on with it.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from llmspell_kernel.errors import LimitError, ScriptError
from llmspell_kernel.values import Value

from ..tool import BuiltIn, Calls, ToolSpec

if TYPE_CHECKING:
    from jmespath.visitor import TreeInterpreter

MAX_QUERY_CHARS = 1_000
MAX_STEPS = 2_000_000
"""About a second; data of 2 MB, the most that a tool is given, is at most half of it."""
CHARS_A_STEP = 10
MESSAGE_CHARS = 300
PLAIN = (int, float, type(None))
"""What is counted with the list or object that holds it."""
MAKING = ("multi_select_list", "multi_select_dict", "flatten", "projection", "filter_projection", "value_projection", "slice")


def queried(data: Value, query: str) -> Value:
    """What the query finds, None for nothing.  Raises ScriptError that says where it is wrong, LimitError for too much work."""
    from jmespath.exceptions import JMESPathError
    from jmespath.parser import Parser

    if len(query) > MAX_QUERY_CHARS:
        raise LimitError(f"json_query: the query is longer than {MAX_QUERY_CHARS:,} characters", limit="query_chars", value=MAX_QUERY_CHARS)
    try:
        found: Value = _counting().visit(Parser().parse(query).parsed, data)
        if not _is_finite(found):
            raise ValueError("the result has a number that is infinite or none, which JSON has not")
        return found
    except RecursionError:
        raise LimitError("json_query: the query or the data is nested too deep", limit="query_depth") from None
    except (JMESPathError, ArithmeticError, TypeError, ValueError) as error:
        told = " ".join(str(error).partition(", for expression")[0].split())
        told = told if len(told) <= MESSAGE_CHARS else f"{told[:MESSAGE_CHARS]}…"
        raise ScriptError(f"json_query: {told}; a query is JMESPath, such as items[?price > `3`].name", code="query") from None


def _is_finite(value: Any) -> bool:
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return False
        if isinstance(item, list | dict):
            left += item if isinstance(item, list) else item.values()
    return True


def _counting() -> TreeInterpreter:
    """An interpreter for one query, made here because the library is loaded late."""
    from jmespath.visitor import TreeInterpreter

    class Counting(TreeInterpreter):  # type: ignore[misc]  # the library has no types
        steps = 0

        def visit(self, node: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            self.spend(1)
            found = super().visit(node, *args, **kwargs)
            if node["type"] in MAKING:
                self.weigh(found)
            return found

        def visit_comparator(self, node: dict[str, Any], value: Any) -> Any:
            self.weigh(value)  # what is compared is a part of it, or was counted when it was made
            return super().visit_comparator(node, value)

        def visit_function_expression(self, node: dict[str, Any], value: Any) -> Any:
            arguments = [self.visit(child, value) for child in node["children"]]
            for argument in arguments:
                self.weigh(argument, expressions=True)
            match node["value"], arguments:
                case "join", [str() as between, list() as texts]:
                    self.spend(len(between) * len(texts) // CHARS_A_STEP)
            found = self._functions.call_function(node["value"], arguments)
            self.weigh(found)
            return found

        def weigh(self, value: Any, *, expressions: bool = False) -> None:
            left = [value]
            while left:
                item = left.pop()
                match item:
                    case str():
                        self.spend(1 + len(item) // CHARS_A_STEP)
                    case list() | dict():
                        self.spend(1 + len(item))
                        inside = item if isinstance(item, list) else item.values()
                        left += [part for part in inside if not isinstance(part, PLAIN)]
                    case _ if not isinstance(item, PLAIN) and not expressions:
                        raise ValueError("an expression (&name) is no value; it is an argument of functions such as sort_by")

        def spend(self, steps: int) -> None:
            self.steps += steps
            if self.steps > MAX_STEPS:
                raise LimitError(
                    f"json_query: the query takes more than {MAX_STEPS:,} steps on this data; ask for a part of it first",
                    limit="query_steps",
                    value=MAX_STEPS,
                )

    return Counting()


async def _run(call: Calls, args: dict[str, Any]) -> Value:
    return await asyncio.to_thread(queried, args["data"], args["query"])


JSON_QUERY = BuiltIn(
    ToolSpec(
        name="json_query",
        description=(
            "Find things in JSON data by a JMESPath query: `items[?price > `3`].name`, `sort_by(people, &age)[0]`, `{total: sum(rows[].n)}`."
        ),
        parameters={
            "type": "object",
            "properties": {
                "data": {"description": "the value to look into"},
                "query": {"type": "string", "minLength": 1, "maxLength": MAX_QUERY_CHARS, "description": "a JMESPath expression"},
            },
            "required": ["data", "query"],
            "additionalProperties": False,
        },
    ),
    _run,
)
