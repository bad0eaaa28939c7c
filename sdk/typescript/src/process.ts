// The life of a plugin process: handshake, mutual TLS, configuration, drain and end.

import { Socket } from "node:net";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall, type ServiceDefinition, type UntypedServiceImplementation } from "@grpc/grpc-js";

import { makeCertificate } from "./certificate";
import { applySchema, checkSchema, schemaToWire, type Schema, type Settings } from "./config";
import { EvidenceService, type Provider } from "./evidence";
import { classify, Fault, toStatus } from "./fault";
import { log } from "./log";
import { minor, protocol, service, type Message } from "./protocol";
import { printHandshake, startedByHost } from "./stdio";

const maxMessage = 64 << 20; // bytes of the largest message
const healthMillis = 800; // below the second in which Health must answer
const shutdownGrace = 200; // milliseconds after the answer to Shutdown
const stopMillis = 500; // for calls that are still running then

/** Describes a plugin. evidence is called with the settings, and answers the provider. */
export interface Plugin {
  name: string;
  version: string;
  evidence: (settings: Settings) => Provider | Promise<Provider>;
  config?: Schema;
  capabilities?: string[];
}

/** Is the whole main program of a plugin: it serves the host that started the process, and ends the process. */
export function serve(plugin: Plugin): void {
  try {
    if (!plugin.name || !plugin.version || !plugin.evidence) throw new Error("a plugin needs name, version and evidence");
    checkSchema(plugin.config ?? []);
  } catch (error) {
    return refuse(`this plugin is built wrongly: ${(error as Error).message}`);
  }
  if (!startedByHost) {
    return refuse(`${plugin.name} ${plugin.version} is a plugin of kind evidence for Decision Gate Host and is started by it: ` +
      `name this program as "command" of a plugin block in the host's configuration`);
  }
  const host = process.env.PLUGIN_CLIENT_CERT;
  if (!host) return refuse("PLUGIN_CLIENT_CERT is not set: there is no plaintext mode, the host must start the plugin with mutual TLS");
  if (!dieWithHost()) return;
  process.on("SIGINT", () => {}); // a terminal's interrupt reaches the host too, which ends its plugins in order
  new Life(plugin).run(Buffer.from(host)).catch((error: Error) => refuse(`the plugin cannot serve: ${error.message}`));
}

function refuse(why: string): void {
  process.stderr.write(why + "\n");
  process.exit(1);
}

/**
 * Ends the process when the control descriptor reads end of file: the host is gone, however it went. Where the kernel does that
 * too, the main loop may watch; elsewhere a thread does, which a handler that spins does not hold up.
 */
function dieWithHost(): boolean {
  const number = process.env.DECISION_GATE_CONTROL_FD;
  if (!number) return true;
  if (!/^\d+$/.test(number) || Number(number) < 3) {
    refuse(`DECISION_GATE_CONTROL_FD is ${JSON.stringify(number)}: want the number of an inherited descriptor`);
    return false;
  }
  if (process.platform === "linux") {
    new Socket({ fd: Number(number), readable: true }).on("close", () => process.kill(process.pid, "SIGKILL")).on("error", () => {}).resume();
    return true;
  }
  const watch = "const {workerData} = require('node:worker_threads'); new (require('node:net').Socket)({fd: workerData, readable: true})" +
    ".on('close', () => process.kill(process.pid, 'SIGKILL')).on('error', () => {}).resume()";
  new Worker(watch, { eval: true, workerData: Number(number) }).unref();
  return true;
}

const draining = "the plugin is draining";

const pause = (millis: number) => new Promise<void>((done) => { setTimeout(done, millis); });

/** One backend from Configure to Shutdown. */
class Life {
  private backend?: EvidenceService;
  private refusal: string | undefined = "the plugin is not configured yet";
  private settled = false;
  private inside = 0;
  private emptied: (() => void)[] = [];
  private checking?: Promise<string>;
  private readonly server = new Server({ "grpc.max_receive_message_length": maxMessage, "grpc.max_send_message_length": maxMessage });

  constructor(private readonly plugin: Plugin) {}

  async run(host: Buffer): Promise<void> {
    const { key, certificate, printed } = makeCertificate();
    this.server.addService(service("Plugin"), this.handlers(service("Plugin"), this, false));
    this.server.addService(service(EvidenceService.service), this.handlers(service(EvidenceService.service), undefined, true));
    this.addRaw("/grpc.health.v1.Health/Check", () => Buffer.from([8, 1])); // HealthCheckResponse{status: SERVING}
    this.addRaw("/plugin.GRPCController/Shutdown", () => { this.end(); return Buffer.alloc(0); });
    // The last argument is the whole protection: without it anybody may connect.
    const credentials = ServerCredentials.createSsl(host, [{ private_key: key, cert_chain: certificate }], true);
    const folder = process.env.PLUGIN_UNIX_SOCKET_DIR;
    const path = folder ? join(folder, "plugin.sock") : "";
    const port = await new Promise<number>((done, failed) => {
      this.server.bindAsync(folder ? "unix:" + path : "127.0.0.1:0", credentials, (error, bound) => (error ? failed(error) : done(bound)));
    });
    printHandshake(`1|1|${folder ? "unix|" + path : "tcp|127.0.0.1:" + port}|grpc|${printed}\n`);
  }

  private addRaw(path: string, answer: () => Buffer): void {
    const same = (data: Buffer) => data;
    const call = { path, requestStream: false, responseStream: false, requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
    this.server.addService({ call } as ServiceDefinition, { call: (_: unknown, done: sendUnaryData<Buffer>) => done(null, answer()) });
  }

  private handlers(described: ServiceDefinition, target: object | undefined, guarded: boolean): UntypedServiceImplementation {
    const handler = (name: string) => (call: ServerUnaryCall<Message, Message>, done: sendUnaryData<Message>) => {
      const gone = new AbortController();
      call.on("cancelled", () => gone.abort());
      const run = async () => (target ?? this.backend) && ((target ?? this.backend) as Message)[name](call.request, gone.signal);
      (guarded ? this.guard(run) : run()).then((message: Message) => done(null, message), (error: unknown) => {
        // The text of what is not classified may hold a secret: it stays in the log.
        if (!(error instanceof Fault)) log.error("a call failed", { error: String((error as Error)?.stack ?? error) });
        done(toStatus(classify(error)));
      });
    };
    return Object.fromEntries(Object.keys(described).map((name) => [name, handler(name)]));
  }

  /** Lets calls in between Configure and Drain, and counts those that are inside. */
  private async guard(call: () => Promise<Message>): Promise<Message> {
    if (this.refusal !== undefined) throw new Fault("UNAVAILABLE", this.refusal);
    this.inside++;
    try {
      return await call();
    } finally {
      if (--this.inside === 0) this.emptied.splice(0).forEach((tell) => tell());
    }
  }

  async Manifest(): Promise<Message> {
    return {
      kind: EvidenceService.kind, name: this.plugin.name, version: this.plugin.version, protocols: [protocol], minor,
      capabilities: this.plugin.capabilities ?? [], config: schemaToWire(this.plugin.config ?? []),
    };
  }

  async Configure(request: Message): Promise<Message> {
    const settings = applySchema(this.plugin.config ?? [], Buffer.from(request.configJson).toString());
    if (this.settled) throw new Fault("INVALID", "the plugin is configured already");
    this.settled = true; // while it opens, too
    try {
      this.backend = new EvidenceService(await this.plugin.evidence(settings));
    } catch (error) {
      this.settled = this.refusal === draining;
      throw error;
    }
    if (this.refusal !== draining) this.refusal = undefined;
    return {};
  }

  async Health(): Promise<Message> {
    if (this.refusal !== undefined) return { live: true, ready: false, reason: this.refusal };
    // One check at a time: a backend that hangs must not collect a promise for every question.
    this.checking ??= (async () => this.backend!.health())().then(() => "", (error: unknown) => {
      if (error instanceof Fault) return error.message;
      log.warn("the health check failed", { error: String(error) });
      return "the backend has an error, see the plugin's log";
    }).finally(() => { this.checking = undefined; });
    const late = `the backend did not answer its health check within ${healthMillis} ms`;
    const reason = await Promise.race([this.checking, pause(healthMillis).then(() => late)]);
    return { live: true, ready: reason === "", reason };
  }

  async Drain(request: Message): Promise<Message> {
    const limit = request.deadline ? Number(request.deadline.seconds) * 1000 + request.deadline.nanos / 1e6 : undefined;
    if (!(await this.drain(limit))) throw new Fault("DEADLINE", "calls were still running when the time to drain was over");
    return {};
  }

  private async drain(limit?: number): Promise<boolean> {
    this.refusal = draining;
    this.settled = true;
    if (this.inside === 0) return true;
    const empty = new Promise<boolean>((done) => this.emptied.push(() => done(true)));
    return limit === undefined ? empty : Promise.race([empty, pause(limit).then(() => false)]);
  }

  async Shutdown(): Promise<Message> {
    await this.drain(shutdownGrace);
    try {
      await this.close();
    } finally {
      this.end();
    }
    return {};
  }

  private async close(): Promise<void> {
    const backend = this.backend;
    this.backend = undefined;
    this.refusal = draining;
    await backend?.close();
  }

  /** Ends the process after the answer. */
  private end(): void {
    setTimeout(async () => {
      // tryShutdown may wait for ever for a connection that was refused.
      await Promise.race([new Promise<void>((done) => this.server.tryShutdown(() => done())), pause(stopMillis)]);
      const failed = await this.close().then(() => false, (error: unknown) => {
        log.error("closing the backend failed", { error: String(error) });
        return true;
      });
      process.exit(failed ? 1 : 0);
    }, shutdownGrace);
  }
}
