"""Errors that survive the wire: a reason of a small set, on which the host acts, and a message for an operator."""

import grpc

# The table of reasons is normative: see package sdk/fault.
CODES = {
    "INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "TOO_LARGE": grpc.StatusCode.OUT_OF_RANGE,
    "DENIED": grpc.StatusCode.PERMISSION_DENIED,
    "UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "DEADLINE": grpc.StatusCode.DEADLINE_EXCEEDED,
    "CORRUPT": grpc.StatusCode.DATA_LOSS,
    "LOCKED": grpc.StatusCode.FAILED_PRECONDITION,
    "UNIMPLEMENTED": grpc.StatusCode.UNIMPLEMENTED,
    "FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "INTERNAL": grpc.StatusCode.INTERNAL,
}

DOMAIN = b"decision-gate"


class Fault(Exception):
    """An error with a reason, such as Fault("INVALID", "the params must name a ticket"). The message holds no secret."""

    def __init__(self, reason, message):
        if reason not in CODES:
            raise ValueError(f"there is no reason {reason!r}: {', '.join(CODES)}")
        super().__init__(message)
        self.reason, self.message = reason, message


def classify(error):
    """The Fault of any error. The text of one that is not classified stays here: it may hold a secret."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, TimeoutError):
        return Fault("DEADLINE", "DEADLINE")
    return Fault("INTERNAL", "internal error")


def _field(number, data):
    length, size = len(data), b""
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + data


def abort(context, fault):
    """Ends a call with a fault: its code, its message, and google.rpc.ErrorInfo with the reason."""
    code = CODES[fault.reason]
    info = _field(1, fault.reason.encode()) + _field(2, DOMAIN)
    detail = _field(1, b"type.googleapis.com/google.rpc.ErrorInfo") + _field(2, info)
    status = bytes([1 << 3, code.value[0]]) + _field(2, fault.message.encode()) + _field(3, detail)
    context.set_trailing_metadata((("grpc-status-details-bin", status),))
    context.abort(code, fault.message)
