"""Standard output belongs to the host: one line of it is the handshake, and a pipe that nobody reads would block the plugin."""

import os

COOKIE = ("DECISION_GATE_PLUGIN", "0b9a5f2e-7c41-4d0e-9d5c-1f2f6a8d3c77")


def started_by_host():
    return os.environ.get(COOKIE[0]) == COOKIE[1]


_handshake = None
if started_by_host():
    _handshake = os.dup(1)
    os.dup2(2, 1)


def print_handshake(line):
    """Writes the one line that the host waits for."""
    data = line.encode()
    while data:
        data = data[os.write(_handshake, data):]
