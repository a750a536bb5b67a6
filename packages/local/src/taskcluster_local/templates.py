"""Render JSON-e as real deployments do, with JavaScript's numbers, which have one type.

The `json-e` package uses Python's numbers: `10/5` is `2.0`, `true == 1` holds, and `9**9**9` takes forever. Here every
number is a float while a template is rendered, and is written as JavaScript writes it.
"""

# json-e has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import re
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from taskcluster.shapes import is_array
from taskcluster.slugs import slugId

from .encoding import as_string, exact, is_object, number_text
from .timestamps import from_wire

__all__ = ["TemplateError", "render"]

_builtins: Any = importlib.import_module("jsone.builtins")
_interpreter: Any = importlib.import_module("jsone.interpreter")
_shared: Any = importlib.import_module("jsone.shared")

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_PREFIXED = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)", re.ASCII)
_INFINITE = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}
_HALF = re.compile("[\ud800-\udfff]")
# The characters that String.prototype.trim removes.
_SPACE = "\t\n\v\f\r \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"


class TemplateError(Exception):
    """A template cannot be rendered."""


def render(template: Any, context: dict[str, Any], *, slugids: bool = False) -> Any:
    """Render a JSON-e template to JSON; return None if it renders to nothing.

    Args:
        template: A JSON value.
        context: The values that the template may refer to, by name.
        slugids: Whether the template may call `as_slugid(label)`, which returns one new slugid per label.

    Raises:
        TemplateError: The template or the context is invalid, evaluation fails, or a value is nested too deeply.
    """
    if invalid := [name for name in context if not _NAME.fullmatch(name)]:
        raise TemplateError(f"names in the context must be identifiers, not {', '.join(map(repr, invalid))}")
    functions = {**_BUILTINS, "as_slugid": _as_slugid()} if slugids else _BUILTINS
    try:
        rendered = _engine.renderValue(_numbered(template), {**functions, **_numbered(context)})
        if rendered is _shared.DeleteMarker:
            return None
        if _engine.containsFunctions(rendered):
            raise TemplateError("evaluated template contained uncalled functions")
        return _as_json(rendered)
    except _shared.JSONTemplateError as error:
        raise TemplateError(str(error)) from None
    except RecursionError:
        raise TemplateError("nested too deeply") from None
    except MemoryError:
        raise TemplateError("the result is too large") from None
    # json-e passes some invalid arguments on to Python's operators and functions.
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise TemplateError(f"{type(error).__name__}: {error}") from None


class _Number(float):
    """A JavaScript number; if it has no fraction, it can index lists and strings."""

    def __str__(self) -> str:
        return number_text(self)

    def __index__(self) -> int:
        if not self.is_integer():
            raise TypeError("not an integer")
        return int(self)


def _number(value: float) -> _Number:
    try:
        return _Number(value)
    except OverflowError:
        return _Number(math.inf if value > 0 else -math.inf)


def _numbered(value: Any) -> Any:
    """Convert the numbers in a JSON value to JavaScript numbers."""
    if isinstance(value, (int, float)):
        return value if isinstance(value, bool) else _number(value)
    if is_object(value):
        return {name: _numbered(member) for name, member in value.items()}
    if is_array(value):
        return [_numbered(item) for item in value]
    return value


def _as_json(value: Any) -> Any:
    """Convert a rendered value to what `JSON.stringify` would write."""
    if isinstance(value, float):
        return exact(float(value)) if math.isfinite(value) else None
    if is_object(value):
        return {name: _as_json(member) for name, member in value.items()}
    if is_array(value):
        return [_as_json(item) for item in value]
    return value


def _stringify(value: Any, **_: Any) -> str:
    """Serialize a value as `$json` does: compact, with sorted keys."""
    if isinstance(value, float):
        return number_text(value) if math.isfinite(value) else "null"
    if is_object(value):
        return "{" + ",".join(f"{_stringify(name)}:{_stringify(value[name])}" for name in sorted(value)) + "}"
    if is_array(value):
        return "[" + ",".join(map(_stringify, value)) + "]"
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", json.dumps(value, ensure_ascii=False))


def _equal(left: Any, right: Any) -> bool:
    if is_array(left) and is_array(right):
        return len(left) == len(right) and all(map(_equal, left, right))
    if is_object(left) and is_object(right):
        return left.keys() == right.keys() and all(_equal(left[name], right[name]) for name in left)
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)


def _power(base: float, exponent: float) -> float:
    if math.isnan(exponent) or (abs(base) == 1 and math.isinf(exponent)):
        return math.nan
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan


class _Interpreter(_interpreter.Interpreter):  # type: ignore[misc]  # pyright: ignore[reportUntypedBaseClass]
    """Evaluates JSON-e expressions with JavaScript's numbers and equality."""

    def visit(self, node: Any) -> Any:
        value = super().visit(node)
        return _number(value) if type(value) in (int, float) else value

    def visit_ASTNode(self, node: Any) -> Any:
        # int() refuses more than 4300 digits.
        return float(node.token.value) if node.token.kind == "number" else super().visit_ASTNode(node)

    def visit_BinOp(self, node: Any) -> Any:
        kind = node.token.kind
        if kind in ("==", "!="):
            return _equal(self.visit(node.left), self.visit(node.right)) is (kind == "==")
        if kind == "**":
            # The parser swaps the operands of this operator.
            exponent, base = self.visit(node.left), self.visit(node.right)
            for operand in (exponent, base):
                if not isinstance(operand, _Number):
                    raise _shared.InterpreterError("infix: ** expects number ** number")
            return _power(base, exponent)
        if kind == "in":
            left, right = self.visit(node.left), self.visit(node.right)
            if is_array(right):
                return any(_equal(left, item) for item in right)
            if not isinstance(left, str) or not isinstance(right, (str, dict)):
                raise _shared.InterpreterError(
                    "infix: in expects a value in an array, or a string in a string or object"
                )
            return left in right
        return super().visit_BinOp(node)


def _check(condition: bool, name: str) -> None:
    if not condition:
        raise _shared.JSONTemplateError(f"invalid arguments to builtin: {name}")


def _to_number(text: Any) -> float:
    _check(isinstance(text, str), "number")
    text = text.strip(_SPACE)
    if not text:
        return 0.0
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _PREFIXED.fullmatch(text):
        return _number(int(text, 0))
    return _INFINITE.get(text, math.nan)


def _numeric(name: str, function: Callable[..., float]) -> Callable[..., float]:
    """Return a built-in function of numbers that returns NaN if an argument is NaN."""

    def call(*numbers: Any) -> float:
        _check(bool(numbers) and all(isinstance(number, _Number) for number in numbers), name)
        return math.nan if any(map(math.isnan, numbers)) else function(*numbers)

    return call


def _minimum(*numbers: float) -> float:
    return min(numbers)


def _maximum(*numbers: float) -> float:
    return max(numbers)


def _square_root(number: float) -> float:
    return math.sqrt(number) if number >= 0 else math.nan


def _ceiling(number: float) -> float:
    return math.ceil(number) if math.isfinite(number) else number


def _floor(number: float) -> float:
    return math.floor(number) if math.isfinite(number) else number


def _range(*bounds: Any) -> list[_Number]:
    _check(
        len(bounds) in (2, 3) and all(isinstance(bound, _Number) and bound.is_integer() for bound in bounds), "range"
    )
    return [_Number(number) for number in range(*map(int, bounds))]


def _join(items: Any, separator: Any) -> str:
    _check(is_array(items) and isinstance(separator, (str, _Number)), "join")
    return str(separator).join("" if item is None else as_string(item) for item in items)


def _from_now(offset: str, reference: Any = None) -> str:
    """Return the date-time at an offset from another one, in any format that JavaScript parses."""
    if isinstance(reference, str):
        reference = from_wire(f"{reference}T00:00:00Z" if _DATE.fullmatch(reference) else reference)
    elif not isinstance(reference, datetime):
        raise _shared.TemplateError("$fromNow expects a date-time as `from`")
    return str(_shared.fromNow(offset.lower(), reference))


def _builtin_from_now(context: dict[str, Any], offset: Any, reference: Any = None) -> str:
    _check(isinstance(offset, str) and isinstance(reference, (str, type(None))), "fromNow")
    return _from_now(offset, reference or context.get("now"))


_builtin_from_now._jsone_builtin = True  # type: ignore[attr-defined]  # pyright: ignore  # asks for the context


def _strip(name: str, strip: Callable[[str, str], str]) -> Callable[[Any], str]:
    def call(text: Any) -> str:
        _check(isinstance(text, str), name)
        return strip(text, _SPACE)

    return call


def _as_slugid() -> Callable[[Any], str]:
    slugs: dict[str, str] = {}

    def as_slugid(label: Any) -> str:
        return slugs.setdefault(as_string(label), slugId())

    return as_slugid


_BUILTINS: dict[str, Any] = {
    **_builtins.build(),
    "min": _numeric("min", _minimum),
    "max": _numeric("max", _maximum),
    "sqrt": _numeric("sqrt", _square_root),
    "ceil": _numeric("ceil", _ceiling),
    "floor": _numeric("floor", _floor),
    "number": _to_number,
    "range": _range,
    "join": _join,
    "strip": _strip("strip", str.strip),
    "lstrip": _strip("lstrip", str.lstrip),
    "rstrip": _strip("rstrip", str.rstrip),
    "fromNow": _builtin_from_now,
}


def _private_engine() -> Any:
    """Return a second instance of `jsone.render`, because patching the imported one would affect the program."""
    spec = importlib.util.find_spec("jsone.render")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.Interpreter = _Interpreter
    module.json = SimpleNamespace(dumps=_stringify)
    module.shared = SimpleNamespace(fromNow=_from_now)
    return module


_engine = _private_engine()
