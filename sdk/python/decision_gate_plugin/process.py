"""The life of a plugin process: handshake, mutual TLS, configuration, drain and end."""

import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc

from . import certificate, config, evidence, logs, protocol, stdio
from .fault import Fault, abort, classify

log = logging.getLogger("decision_gate_plugin")

MAX_MESSAGE = 64 << 20  # bytes of the largest message
WORKERS = 16  # calls of the plugin's kind at a time
CONTROL_WORKERS = 4  # calls of the host about the process: they never wait for those of the kind
HEALTH_SECONDS = 0.8  # below the second in which Health must answer
SHUTDOWN_GRACE = 0.2  # seconds after the answer to Shutdown
STOP_SECONDS = 0.5  # for calls that are still running then

# The kinds, by the argument of Plugin that opens one.
KINDS = {"evidence": evidence.Service}


@dataclass
class Plugin:
    """Describes a plugin. evidence is a class or a function: it is called with the settings, and answers the provider."""

    name: str
    version: str
    evidence: object = None
    config: list = field(default_factory=list)
    capabilities: list = field(default_factory=list)

    def kind(self):
        return next((kind for kind in KINDS if getattr(self, kind)), None)

    def check(self):
        if not self.name or not self.version or not self.kind():
            raise ValueError("Plugin needs name, version and one of " + ", ".join(KINDS))
        config.check_schema(self.config)


def serve(plugin):
    """Is the whole main program of a plugin: it serves the host that started the process, and ends the process."""
    try:
        plugin.check()
    except (ValueError, TypeError) as wrong:
        sys.exit(f"this plugin is built wrongly: {wrong}")
    if not stdio.started_by_host():
        sys.exit(f'{plugin.name} {plugin.version} is a plugin of kind {plugin.kind()} for Decision Gate Host and is started by it: '
                 'name this program as "command" of a plugin block in the host\'s configuration')
    host = os.environ.get("PLUGIN_CLIENT_CERT")
    if not host:
        sys.exit("PLUGIN_CLIENT_CERT is not set: there is no plaintext mode, the host must start the plugin with mutual TLS")
    _die_with_host()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's interrupt reaches the host too, which ends its plugins in order
    logs.set_up()
    _Life(plugin).run(host.encode())


def _die_with_host():
    """Ends the process when the control descriptor reads end of file: the host is gone, however it went."""
    number = os.environ.get("DECISION_GATE_CONTROL_FD")
    if not number:
        return
    if not number.isdigit() or int(number) < 3:
        sys.exit(f"DECISION_GATE_CONTROL_FD is {number!r}: want the number of an inherited descriptor")

    def watch():
        try:
            while os.read(int(number), 1):
                pass
        finally:
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Life:
    """One backend from Configure to Shutdown."""

    def __init__(self, plugin):
        self._plugin = plugin
        self._service = KINDS[plugin.kind()]()
        self._changed = threading.Condition()
        self._state, self._inside = "the plugin is not configured yet", 0
        self._open = self._opened = self._settled = self._draining = self._closed = False
        self._stop = threading.Event()
        self._calls = ThreadPoolExecutor(WORKERS)
        self._control = ThreadPoolExecutor(CONTROL_WORKERS)
        self._checks = ThreadPoolExecutor(1)
        self._checking = None

    def run(self, host):
        key, certificate_pem, printed = certificate.make()
        server = grpc.server(self._calls, options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)])
        server.add_generic_rpc_handlers((self._handlers(),))
        # The last argument is the whole protection: without it anybody may connect.
        credentials = grpc.ssl_server_credentials([(key, certificate_pem)], root_certificates=host, require_client_auth=True)
        folder = os.environ.get("PLUGIN_UNIX_SOCKET_DIR")
        if folder:
            network, address = "unix", os.path.join(folder, "plugin.sock")
            server.add_secure_port("unix:" + address, credentials)
        else:
            network, address = "tcp", "127.0.0.1:%d" % server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        stdio.print_handshake(f"1|1|{network}|{address}|grpc|{printed}\n")
        self._stop.wait()
        server.stop(STOP_SECONDS).wait(2 * STOP_SECONDS)
        failed = self._close()
        os._exit(1 if failed else 0)  # a thread of the author's must not hold the process

    def _handlers(self):
        methods = {
            # The answer is HealthCheckResponse{status: SERVING}; requests are not looked at.
            "/grpc.health.v1.Health/Check": self._raw(lambda: b"\x08\x01"),
            "/plugin.GRPCController/Shutdown": self._raw(self._end),
        }
        for name, request, response in protocol.methods("Plugin"):
            methods[f"/{protocol.NAME}.Plugin/{name}"] = self._unary(getattr(self, name), request, response, self._control)
        for name, request, response in protocol.methods(self._service.name):
            methods[f"/{protocol.NAME}.{self._service.name}/{name}"] = self._unary(self._guard(getattr(self._service, name)), request, response, None)

        class Handlers(grpc.GenericRpcHandler):
            def service(self, details):
                return methods.get(details.method)

        return Handlers()

    def _raw(self, answer):
        def handle(request, context):
            return answer()

        handle.experimental_thread_pool = self._control
        return grpc.unary_unary_rpc_method_handler(handle)

    def _unary(self, call, request, response, pool):
        def handle(message, context):
            try:
                return call(message, context)
            except Exception as error:  # its text may hold a secret: it stays in the log
                if not isinstance(error, Fault):
                    log.exception("a call failed")
                fault = classify(error)
            abort(context, fault)

        if pool:
            handle.experimental_thread_pool = pool
        return grpc.unary_unary_rpc_method_handler(handle, request.FromString, response.SerializeToString)

    def _guard(self, call):
        """Lets calls in between Configure and Drain, and counts those that are inside."""

        def guarded(message, context):
            with self._changed:
                if not self._open:
                    raise Fault("UNAVAILABLE", self._state)
                self._inside += 1
            try:
                return call(message, context)
            finally:
                with self._changed:
                    self._inside -= 1
                    self._changed.notify_all()

        return guarded

    def Manifest(self, request, context):
        plugin = self._plugin
        return protocol.message("ManifestResponse")(
            kind=protocol.value("Kind", "KIND_" + plugin.kind().upper()), name=plugin.name, version=plugin.version,
            protocols=[protocol.NAME], minor=protocol.MINOR, capabilities=plugin.capabilities, config=config.to_wire(plugin.config))

    def Configure(self, request, context):
        settings = config.apply(self._plugin.config, request.config_json)
        with self._changed:
            if self._settled:
                raise Fault("INVALID", "the plugin is configured already")
            self._settled = True  # while it opens, too: without the lock, so that Health is answered
        try:
            self._service.open(getattr(self._plugin, self._plugin.kind())(settings))
        except BaseException:
            with self._changed:
                self._settled = self._draining
            raise
        with self._changed:
            self._opened, self._open = True, not self._draining
        return protocol.message("ConfigureResponse")()

    def Health(self, request, context):
        answer = protocol.message("HealthResponse")(live=True)
        with self._changed:
            if not self._open:
                answer.reason = self._state
                return answer
            # One check at a time: a backend that hangs must not collect a thread for every question.
            if self._checking is None or self._checking.done():
                self._checking = self._checks.submit(self._service.health)
            checking = self._checking
        try:
            checking.result(HEALTH_SECONDS)
            answer.ready = True
        except Fault as fault:
            answer.reason = fault.message
        except Exception as error:
            if checking.done():
                log.warning("the health check failed", exc_info=error)
                answer.reason = "the backend has an error, see the plugin's log"
            else:
                answer.reason = f"the backend did not answer its health check within {HEALTH_SECONDS} s"
        return answer

    def Drain(self, request, context):
        limit = request.deadline.ToTimedelta().total_seconds() if request.HasField("deadline") else context.time_remaining()
        if not self._drain(limit):
            raise Fault("DEADLINE", "calls were still running when the time to drain was over")
        return protocol.message("DrainResponse")()

    def _drain(self, limit):
        with self._changed:
            self._open, self._state, self._settled, self._draining = False, "the plugin is draining", True, True
            return self._changed.wait_for(lambda: self._inside == 0, limit)

    def Shutdown(self, request, context):
        self._drain(SHUTDOWN_GRACE)
        failed = self._close()
        self._end()
        if failed:
            raise failed
        return protocol.message("ShutdownResponse")()

    def _close(self):
        """Closes the backend once, and answers what went wrong."""
        with self._changed:
            first, self._closed = self._opened and not self._closed, True
            self._open, self._settled, self._draining = False, True, True
        if first:
            try:
                self._service.close()
            except Exception as error:
                log.exception("closing the backend failed")
                return classify(error)
        return None

    def _end(self):
        timer = threading.Timer(SHUTDOWN_GRACE, self._stop.set)
        timer.daemon = True
        timer.start()
        return b""
