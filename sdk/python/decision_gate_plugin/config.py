"""What the "config" body of the plugin's block may hold. The host checks it with file and line; the plugin checks it again."""

import decimal
import re
from dataclasses import dataclass, field

from . import protocol
from .fault import Fault
from .numbers import decode, encode

TYPES = {"string": "STRING", "integer": "INTEGER", "number": "NUMBER", "bool": "BOOL", "list(string)": "STRING_LIST", "duration": "DURATION"}

_absent = object()


@dataclass
class Attribute:
    """One setting. default and the bounds are values of its type; a duration is a text such as "250ms"."""

    name: str
    type: str = "string"
    help: str = ""
    required: bool = False
    default: object = _absent
    secret: bool = False
    minimum: object = None
    maximum: object = None
    one_of: list = field(default_factory=list)


@dataclass
class Block:
    """A nested block of settings."""

    name: str
    body: list = field(default_factory=list)
    help: str = ""
    required: bool = False
    repeated: bool = False


def to_wire(schema):
    wire = protocol.message("ConfigSchema")()
    for item in schema:
        if isinstance(item, Block):
            block = wire.blocks.add(name=item.name, help=item.help, required=item.required, repeated=item.repeated)
            block.body.CopyFrom(to_wire(item.body))
            continue
        attribute = wire.attributes.add(name=item.name, help=item.help, required=item.required, secret=item.secret, one_of=item.one_of)
        attribute.type = protocol.value("AttributeType", "ATTRIBUTE_TYPE_" + TYPES[item.type])
        if item.default is not _absent:
            attribute.default_json = encode(item.default)
        for bound in ("minimum", "maximum"):
            if getattr(item, bound) is not None:
                setattr(attribute, bound, str(getattr(item, bound)))
    return wire


def check_schema(schema):
    """Finds the author's mistakes before any user meets them."""
    names = [item.name for item in schema]
    for item in schema:
        if not item.name or names.count(item.name) > 1:
            raise ValueError(f"config {item.name!r}: the name is empty or used twice")
        if isinstance(item, Block):
            check_schema(item.body)
        elif item.type not in TYPES:
            raise ValueError(f"config {item.name}: there is no type {item.type!r}: {', '.join(TYPES)}")
        elif item.default is not _absent:
            if item.required:
                raise ValueError(f"config {item.name}: a required attribute has no default")
            if why := _wrong(item, item.default):
                raise ValueError(f"config {item.name}: its default: {why}")


def apply(schema, text):
    """Checks a body and fills in the defaults. What is refused is named, never its value, which may be secret."""
    try:
        body = decode(text) if text.strip() else {}
    except ValueError:
        body = None
    return _apply(schema, "", body)


def _invalid(path, why):
    return Fault("INVALID", f"config {path.rstrip('.') or 'body'}: {why}")


def _apply(schema, path, body):
    if not isinstance(body, dict):
        raise _invalid(path, "want an object")
    body = {name: value for name, value in body.items() if value is not None}
    for item in schema:
        where = path + item.name
        if item.name not in body:
            if item.required:
                raise _invalid(where, "the %s is required" % ("block" if isinstance(item, Block) else "attribute"))
            if isinstance(item, Attribute) and item.default is not _absent:
                body[item.name] = item.default
        elif isinstance(item, Attribute):
            if why := _wrong(item, body[item.name]):
                raise _invalid(where, why)
        elif not item.repeated:
            body[item.name] = _apply(item.body, where + ".", body[item.name])
        elif not isinstance(body[item.name], list):
            raise _invalid(where, "want a list of objects")
        else:
            if item.required and not body[item.name]:
                raise _invalid(where, "the block is required")
            body[item.name] = [_apply(item.body, f"{where}[{i}].", each) for i, each in enumerate(body[item.name])]
    known = {item.name for item in schema}
    for name in sorted(body):
        if name not in known:
            raise _invalid(path + name, "the plugin has no such attribute or block")
    return body


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_UNITS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "1e-3", "s": "1", "m": "60", "h": "3600"}
_DURATION = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


def seconds(text):
    """The seconds of a duration such as "1m30s", None when it is none."""
    if not isinstance(text, str):
        return None
    rest = text.lstrip("+-") if text[:1] in ("+", "-") and text[1:2] not in ("+", "-") else text
    if rest == "0":
        return decimal.Decimal(0)
    if not rest or _DURATION.sub("", rest):
        return None
    total = sum(decimal.Decimal(n) * decimal.Decimal(_UNITS[unit]) for n, unit in _DURATION.findall(rest))
    return -total if text[0] == "-" else total


def _wrong(attribute, value):
    """What is wrong with a value; None when nothing is."""
    kind, ordered = attribute.type, None
    if kind in ("string", "list(string)"):
        texts = [value] if kind == "string" else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return "want a string" if kind == "string" else "want a list of strings"
        if attribute.one_of and any(text not in attribute.one_of for text in texts):
            return "want one of " + encode(attribute.one_of)
        return None
    if kind == "bool":
        return None if isinstance(value, bool) else "want true or false"
    if kind == "duration":
        ordered = seconds(value)
        if ordered is None:
            return 'want a duration such as "250ms"'
        read = seconds
    else:
        if not _is_number(value) or (kind == "integer" and not isinstance(value, int)):
            return "want an integer" if kind == "integer" else "want a number"
        ordered, read = value, lambda bound: bound
    if attribute.minimum is not None and ordered < read(attribute.minimum):
        return f"want at least {attribute.minimum}"
    if attribute.maximum is not None and ordered > read(attribute.maximum):
        return f"want at most {attribute.maximum}"
    return None
