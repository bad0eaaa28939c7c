"""JSON that keeps its numbers: 1 and 1.0 are different evidence, and 0.1 is not what a float makes of it."""

import json
import math


class Number(float):
    """A number with a point or an exponent. It counts as a float, and is written as it was read."""

    def __new__(cls, text):
        number = super().__new__(cls, text)
        number.text = str(text)
        return number


def _integer(text):
    return Number(text) if text == "-0" else int(text)  # an int has no sign of zero


def _refuse(constant):
    raise ValueError(f"{constant} is no JSON")


def decode(text):
    """Reads JSON, of any depth that it survives. What is wrong is a ValueError."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")  # a UnicodeDecodeError is a ValueError
    try:
        return json.loads(text, parse_float=Number, parse_int=_integer, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None


def encode(value):
    """Writes JSON. What JSON cannot hold is a TypeError or a ValueError."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no JSON")
        return repr(value)
    if value is None or isinstance(value, (bool, int, str)):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(encode, value)) + "]"
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"the member name {name!r} is no text")
        return "{" + ",".join(f"{json.dumps(name)}:{encode(member)}" for name, member in value.items()) + "}"
    raise TypeError(f"a {type(value).__name__} is no JSON")
