"""What an evidence plugin answers. The rules are those of Go package sdk/evidence."""

from dataclasses import dataclass

from . import protocol
from .fault import Fault
from .numbers import decode, encode

# Limits in bytes: a larger answer costs its condition.
MAX_CONTRACT, MAX_VALUE, MAX_DETAILS, MAX_TEXT, MAX_NAME, MAX_SIGNATURE = 1 << 20, 1 << 20, 64 << 10, 4096, 255, 16 << 10

_LANES = {"verified": 1, "asserted": 2}


@dataclass
class Query:
    """A question. params is None when there are none; numbers in it keep their form (class Number)."""

    provider: str
    check: str
    params: object


@dataclass
class Time:
    """The trigger's time: Unix milliseconds, or a tick of a logical clock."""

    unix_millis: int = 0
    tick: int = 0
    logical: bool = False


@dataclass
class About:
    """What a provider sees of the call that needs the evidence."""

    tenant: int
    namespace: int
    run: str
    scenario: str
    stage: str
    trigger: str
    time: Time
    correlation: str
    _context: object = None

    def remaining(self):
        """The seconds that the host still waits, None without a limit; 0 when nobody waits any more."""
        if self._context is None:
            return None
        if not self._context.is_active():
            return 0
        return self._context.time_remaining()


@dataclass
class Result:
    """An answer. Without value there is none, and "exists" is false; a value of None is JSON's null."""

    has_value: bool = False
    value: object = None  # bytes are raw; everything else becomes JSON
    lane: str = ""  # "verified": seen for itself; "asserted": passed on
    error: tuple = None  # code and message, and details if there are any
    anchor: tuple = None  # type and value
    ref: str = ""
    content_type: str = ""
    sha256: bytes = None
    signature: tuple = None  # scheme, key id and bytes


def answer(value, lane="verified", **more):
    """A result with a value."""
    more.setdefault("content_type", "" if isinstance(value, bytes) else "application/json")
    return Result(has_value=True, value=value, lane=lane, **more)


def no_answer(lane="verified", **more):
    """A result without a value."""
    return Result(lane=lane, **more)


def failure(code, message, **more):
    """A result that makes the condition unknown. It is recorded: no secret."""
    return Result(error=(code, message), **more)


class Service:
    """Serves a provider: it sees only checks that its contract has, with parameters that are JSON."""

    name = "Evidence"

    def __init__(self):
        self._provider = self._contract = self._checks = None

    def open(self, provider):
        contract = provider.contract() if callable(provider.contract) else provider.contract
        read = decode(contract) if isinstance(contract, (str, bytes)) else contract
        text = contract if isinstance(contract, (str, bytes)) else encode(contract)
        self._contract = text.encode() if isinstance(text, str) else text
        if len(self._contract) > MAX_CONTRACT:
            raise Fault("INTERNAL", f"the contract has {len(self._contract)} bytes, more than {MAX_CONTRACT}")
        for member in ("name", "description", "config_schema", "checks", "notes"):
            if read.get(member) is None:
                raise Fault("INTERNAL", f"the contract of the evidence plugin lacks {member}")
        self._checks = {check["check_id"]: bool(check.get("params_required")) for check in read["checks"]}
        self._provider = provider

    def close(self):
        if hasattr(self._provider, "close"):
            self._provider.close()

    def health(self):
        if hasattr(self._provider, "health"):
            self._provider.health()

    def Contract(self, request, context):
        return protocol.message("ContractResponse")(contract_json=self._contract)

    def Query(self, request, context):
        query = self._question(request.query)
        about = request.context
        moment = Time(about.unix_millis, about.logical, about.WhichOneof("time") == "logical")
        result = self._provider.query(query, About(
            about.tenant, about.namespace, about.run, about.scenario, about.stage, about.trigger, moment, about.correlation_id, context))
        return _to_wire(result)

    def _question(self, asked):
        named = f"{asked.provider_id[:100]}.{asked.check_id[:100]}"
        if asked.check_id not in self._checks:
            raise Fault("INVALID", f"check not supported: {named}")
        params = None
        if asked.HasField("params_json"):
            try:
                params = decode(asked.params_json)
            except ValueError:
                raise Fault("INVALID", f"the params of {named} are not JSON, or nested too deep") from None
        if params is None and self._checks[asked.check_id]:
            raise Fault("INVALID", f"check params required for {named}")
        return Query(asked.provider_id, asked.check_id, params)


def _wrong(why):
    return Fault("INTERNAL", "the evidence plugin broke the protocol: it answered " + why)


def _limit(what, text, limit):
    data = text if isinstance(text, bytes) else text.encode()
    if len(data) > limit:
        raise _wrong(f"{what} of {len(data)} bytes, more than {limit}")
    return text


def _to_wire(result):
    if not isinstance(result, Result):
        raise _wrong(f"a {type(result).__name__}: want what answer, no_answer or failure returns")
    if result.lane not in _LANES and (result.lane or not result.error):
        raise _wrong("no lane, or one that does not exist")
    wire = protocol.message("QueryResponse")(lane=_LANES.get(result.lane, 0))
    if result.has_value and isinstance(result.value, bytes):
        wire.raw = _limit("a value", result.value, MAX_VALUE)
    elif result.has_value:
        wire.json = _limit("a value", encode(result.value).encode(), MAX_VALUE)
    if result.error:
        code, message, *details = result.error
        if not code:
            raise _wrong("an error without a code")
        wire.error.code, wire.error.message = _limit("an error code", code, MAX_NAME), _limit("an error message", message, MAX_TEXT)
        if details:
            wire.error.details_json = _limit("error details", encode(details[0]).encode(), MAX_DETAILS)
    if result.anchor:
        wire.anchor.type, wire.anchor.value = _limit("an anchor type", result.anchor[0], MAX_NAME), _limit("an anchor value", result.anchor[1], MAX_TEXT)
    if result.ref:
        wire.ref_uri = _limit("a reference", result.ref, MAX_TEXT)
    if result.content_type:
        wire.content_type = _limit("a content type", result.content_type, MAX_NAME)
    if result.sha256 is not None:
        if len(result.sha256) != 32 or not result.has_value:
            raise _wrong("a SHA-256 of another size, or of no value")
        wire.sha256 = result.sha256
    if result.signature:
        scheme, key_id, data = result.signature
        wire.signature.scheme, wire.signature.key_id = _limit("a signature scheme", scheme, MAX_NAME), _limit("a key id", key_id, MAX_TEXT)
        wire.signature.signature = _limit("a signature", data, MAX_SIGNATURE)
    return wire
