"""The tool `calculate`: arithmetic, by Python's own parser and a walk over what it found.

Rules
- Nothing is evaluated but what OPERATORS, FUNCTIONS and CONSTANTS name: no attribute, no text, no name of Python's.
- No step makes a number of more than MAX_BITS: what a power or a factorial would come to is known before it is computed.
- An expression has at most MAX_CHARS and MAX_DEPTH, so parser and walk end soon.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llmspell_kernel.errors import LimitError, ScriptError, nearest
from llmspell_kernel.values import INT_MAX, INT_MIN, Value

from ..tool import BuiltIn, Calls, ToolSpec

MAX_CHARS = 2_000
MAX_DEPTH = 60
MAX_BITS = 4_096
"""Of a whole number: 1,233 digits."""
MAX_FACTORIAL = 500
MAX_PLACES = 300
"""Of a rounding: no double has more."""
NAME_CHARS = 40
Number = int | float
CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e, "tau": math.tau}
OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
ALLOWED = frozenset("0123456789.+-*/%(), \t_eE") | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
INSTEAD = {
    "^": "; a power is written **",
    "×": "; write *",
    "·": "; write *",
    "÷": "; write /",
    "−": "; write -",
    "!": "; write factorial(n)",
}


class Function(NamedTuple):
    call: Callable[..., Number]
    least: int = 1
    most: int = 1


def _rounded(number: Number, places: Number = 0) -> Number:
    if not isinstance(places, int) or abs(places) > MAX_PLACES:
        raise ValueError(f"the places of round are a whole number, at most {MAX_PLACES}")
    # half away from zero would be another surprise: this is Python's, to the even neighbour
    return round(number, places) if places else round(number)


def _factorial(number: Number) -> int:
    if not isinstance(number, int) or not 0 <= number <= MAX_FACTORIAL:
        raise ValueError(f"factorial is of a whole number from 0 to {MAX_FACTORIAL}")
    return math.factorial(number)


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0 and base.bit_length() * exponent > MAX_BITS and abs(base) > 1:
        raise _too_large()
    found = base**exponent
    if isinstance(found, complex):
        raise ValueError("a negative number has no such power")
    return found


def _binomial(n: Number, k: Number) -> int:
    if not isinstance(n, int) or not isinstance(k, int) or not 0 <= k <= n <= MAX_FACTORIAL:
        raise ValueError(f"comb is of whole numbers with 0 <= k <= n <= {MAX_FACTORIAL}")
    return math.comb(n, k)


def _whole(call: Callable[..., int]) -> Callable[..., int]:
    def checked(*numbers: Number) -> int:
        if not all(isinstance(number, int) for number in numbers):
            raise ValueError("it takes whole numbers")
        return call(*numbers)

    return checked


MANY = 100
FUNCTIONS: Mapping[str, Function] = {
    **{
        name: Function(getattr(math, name))
        for name in ("sqrt", "cbrt", "exp", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan")
    },
    **{name: Function(getattr(math, name)) for name in ("sinh", "cosh", "tanh", "degrees", "radians", "floor", "ceil", "trunc")},
    "log": Function(math.log, 1, 2),
    "ln": Function(math.log),
    "atan2": Function(math.atan2, 2, 2),
    "hypot": Function(math.hypot, 1, MANY),
    "abs": Function(abs),
    "min": Function(min, 2, MANY),
    "max": Function(max, 2, MANY),
    "sum": Function(lambda *numbers: sum(numbers), 1, MANY),
    "mean": Function(lambda *numbers: sum(numbers) / len(numbers), 1, MANY),
    "round": Function(_rounded, 1, 2),
    "pow": Function(_power, 2, 2),
    "factorial": Function(_factorial),
    "comb": Function(_binomial, 2, 2),
    "gcd": Function(_whole(math.gcd), 2, MANY),
    "isqrt": Function(_whole(math.isqrt)),
}


def evaluate(expression: str) -> Number:
    """The number that an expression comes to.  Raises ScriptError that says where it is wrong, LimitError for what would be too large."""
    begin = len(expression) - len(expression.lstrip())
    text = expression.strip()
    if not text:
        raise ScriptError("calculate: the expression is empty; give one such as (1 + 2) * sqrt(9)", code="expression")
    if len(text) > MAX_CHARS:
        raise LimitError(f"calculate: the expression is longer than {MAX_CHARS:,} characters", limit="expression_chars", value=MAX_CHARS)
    for at, letter in enumerate(text):
        if letter not in ALLOWED:
            raise _wrong(f"{letter!r} has no meaning here{INSTEAD.get(letter, '')}", expression, begin + at)
    try:
        found = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise _wrong(error.msg, expression, begin + max(0, (error.offset or 1) - 1)) from None
    except (RecursionError, MemoryError):
        raise _too_deep() from None
    except ValueError as error:  # a whole number of more digits than Python reads
        raise _wrong(str(error), expression, begin) from None
    return _Walk(expression, begin).value(found, 0)


class _Walk:
    def __init__(self, expression: str, begin: int) -> None:
        self._expression = expression
        self._begin = begin

    def value(self, node: ast.expr, depth: int) -> Number:
        if depth > MAX_DEPTH:
            raise _too_deep()
        try:
            return self._fitting(self._computed(node, depth))
        except (ArithmeticError, ValueError, TypeError) as error:
            raise self._wrong(_reason(error), node) from None

    def _computed(self, node: ast.expr, depth: int) -> Number:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return number
            case ast.Name(id=name) if name in CONSTANTS:
                return CONSTANTS[name]
            case ast.Name(id=name):
                told = "is a function: write its arguments in brackets" if name in FUNCTIONS else f"is not known{_near(name)}"
                raise self._wrong(f"'{name[:NAME_CHARS]}' {told}", node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                number = self.value(operand, depth + 1)
                return -number if isinstance(node.op, ast.USub) else number
            case ast.BinOp() if type(node.op) in OPERATORS:
                return self._combined(type(node.op), self.value(node.left, depth + 1), self.value(node.right, depth + 1))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._called(node, name, [self.value(arg, depth + 1) for arg in args])
        raise self._wrong("this is no arithmetic; there are numbers, + - * / // % **, brackets, functions and constants", node)

    def _combined(self, kind: type[ast.operator], left: Number, right: Number) -> Number:
        if kind is ast.Pow:
            return _power(left, right)
        return OPERATORS[kind](left, right)  # of numbers within MAX_BITS, so the largest product has twice as many

    def _called(self, node: ast.expr, name: str, arguments: list[Number]) -> Number:
        function = FUNCTIONS.get(name)
        if function is None:
            raise self._wrong(f"there is no function '{name[:NAME_CHARS]}'{_near(name)}", node)
        if not function.least <= len(arguments) <= function.most:
            count = f"{function.least}" if function.least == function.most else f"{function.least} to {function.most}"
            raise self._wrong(f"{name} takes {count} arguments, not {len(arguments)}", node)
        return function.call(*arguments)

    def _fitting(self, number: Number) -> Number:
        if isinstance(number, int) and number.bit_length() > MAX_BITS:
            raise _too_large()
        if isinstance(number, float) and not math.isfinite(number):
            raise OverflowError
        return number

    def _wrong(self, reason: str, node: ast.expr) -> ScriptError:
        return _wrong(reason, self._expression, self._begin + node.col_offset)


def _reason(error: Exception) -> str:
    match error:
        case ZeroDivisionError():
            return "a division by zero"
        case OverflowError():
            return "the number is too large for a floating point number"
    return {"math domain error": "the function has no value there"}.get(str(error), str(error))


def _near(name: str) -> str:
    return nearest(name[:NAME_CHARS], [*FUNCTIONS, *CONSTANTS])


def _wrong(reason: str, expression: str, at: int) -> ScriptError:
    around = expression[max(0, at - 20) : at + 20]
    return ScriptError(f"calculate: {reason}, at character {at + 1} (near {around!r})", code="expression")


def _too_deep() -> LimitError:
    return LimitError(f"calculate: the expression is nested deeper than {MAX_DEPTH}", limit="expression_depth", value=MAX_DEPTH)


def _too_large() -> LimitError:
    digits = int(MAX_BITS * math.log10(2))
    return LimitError(f"calculate: a whole number would have more than {digits:,} digits", limit="expression_digits", value=digits)


async def _run(call: Calls, args: dict[str, Any]) -> Value:
    found = evaluate(args["expression"])
    # 64 bits are what scripts have; beyond, the digits are given, so that nothing is lost
    return str(found) if isinstance(found, int) and not INT_MIN <= found <= INT_MAX else found


CALCULATE = BuiltIn(
    ToolSpec(
        name="calculate",
        description=(
            "Compute an arithmetic expression exactly: + - * / // % ** and brackets, functions such as sqrt, log, sin (radians), min, max, "
            "round, factorial, comb, and pi, e, tau. Whole numbers stay exact; one beyond 64 bits is given as a text of its digits."
        ),
        parameters={
            "type": "object",
            "properties": {
                "expression": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": MAX_CHARS,
                    "description": "such as `(1 + 2) * sqrt(9)`; a power is written **",
                }
            },
            "required": ["expression"],
            "additionalProperties": False,
        },
        returns={"type": ["number", "string"], "description": "the number; digits as a text for a whole number beyond 64 bits"},
    ),
    _run,
)
