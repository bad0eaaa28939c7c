// What an evidence plugin answers. The rules are those of Go package sdk/evidence.

import { Fault } from "./fault";
import type { Message } from "./protocol";

// Limits in bytes: a larger answer costs its condition.
const maxContract = 1 << 20, maxValue = 1 << 20, maxDetails = 64 << 10, maxText = 4096, maxName = 255, maxSignature = 16 << 10;

/** A question. In params 1.0 has become 1, as everywhere in JavaScript; paramsText has what was sent. */
export interface Query {
  provider: string;
  check: string;
  params: unknown;
  paramsText?: string;
}

/** What a provider sees of the call that needs the evidence. */
export interface About {
  tenant: bigint;
  namespace: bigint;
  run: string;
  scenario: string;
  stage: string;
  trigger: string;
  /** The trigger's time; one of the two is set. */
  time: { unixMillis?: number; tick?: bigint };
  correlation: string;
  /** Aborts when nobody waits any more. */
  signal: AbortSignal;
}

/** What goes with a value, or with none. */
export interface More {
  anchor?: { type: string; value: string };
  ref?: string;
  contentType?: string;
  sha256?: Uint8Array;
  signature?: { scheme: string; keyId: string; signature: Uint8Array };
}

/** An answer: what answer, answerText, noAnswer or failure return. */
export interface Result extends More {
  /** JSON text, or bytes. */
  value?: string | Uint8Array;
  /** "verified" is seen for itself, "asserted" is passed on. */
  lane?: Lane;
  error?: { code: string; message: string; details?: unknown };
}

export type Lane = "verified" | "asserted";

const lanes: Record<string, number> = { verified: 1, asserted: 2 };

/** A result with a value: bytes are raw, everything else becomes JSON. */
export function answer(value: unknown, lane: Lane = "verified", more: More = {}): Result {
  if (value instanceof Uint8Array) return { ...more, value, lane };
  const text = JSON.stringify(value);
  if (text === undefined || (typeof value === "number" && !Number.isFinite(value))) throw new TypeError("the answer is no JSON");
  return answerText(text, lane, more);
}

/** A result whose value is JSON text, for numbers that must keep their form, such as "1.0". */
export function answerText(text: string, lane: Lane = "verified", more: More = {}): Result {
  JSON.parse(text);
  return { contentType: "application/json", ...more, value: text, lane };
}

/** A result without a value: "exists" is false. */
export const noAnswer = (lane: Lane = "verified", more: More = {}): Result => ({ ...more, lane });

/** A result that makes the condition unknown. It is recorded: no secret. */
export const failure = (code: string, message: string, details?: unknown): Result => ({ error: { code, message, details } });

/** What an author writes. */
export interface Provider {
  /** What can be asked: an object, or JSON text where numbers must keep their form. The same each time. */
  contract: unknown;
  query(query: Query, about: About): Result | Promise<Result>;
  /** Throws when its calls would not succeed now. */
  health?(): void | Promise<void>;
  close?(): void | Promise<void>;
}

/** Serves a provider: it sees only checks that its contract has, with parameters that are JSON. */
export class EvidenceService {
  static readonly service = "Evidence";
  static readonly kind = 3;

  private contract = "";
  private checks = new Map<string, boolean>();

  constructor(private readonly provider: Provider) {
    this.contract = typeof provider.contract === "string" ? provider.contract : JSON.stringify(provider.contract);
    if (Buffer.byteLength(this.contract) > maxContract) throw new Fault("INTERNAL", `the contract has more than ${maxContract} bytes`);
    const read = JSON.parse(this.contract);
    for (const member of ["name", "description", "config_schema", "checks", "notes"]) {
      if (read[member] == null) throw new Fault("INTERNAL", `the contract of the evidence plugin lacks ${member}`);
    }
    for (const check of read.checks) this.checks.set(check.check_id, Boolean(check.params_required));
  }

  health() { return this.provider.health?.(); }

  close() { return this.provider.close?.(); }

  async Contract(): Promise<Message> { return { contractJson: Buffer.from(this.contract) }; }

  async Query(request: Message, signal: AbortSignal): Promise<Message> {
    const query = this.question(request.query ?? { providerId: "", checkId: "" });
    const c = request.context ?? { tenant: 0n, namespace: 0n, run: "", scenario: "", stage: "", trigger: "", time: {} };
    const time = c.time.case === "logical" ? { tick: c.time.value } : { unixMillis: Number(c.time.value ?? 0n) };
    return toWire(await this.provider.query(query, {
      tenant: c.tenant, namespace: c.namespace, run: c.run, scenario: c.scenario, stage: c.stage, trigger: c.trigger, time,
      correlation: c.correlationId ?? "", signal,
    }));
  }

  private question(asked: Message): Query {
    const named = `${asked.providerId.slice(0, 100)}.${asked.checkId.slice(0, 100)}`;
    const needsParams = this.checks.get(asked.checkId);
    if (needsParams === undefined) throw new Fault("INVALID", `check not supported: ${named}`);
    let params: unknown, paramsText: string | undefined;
    if (asked.paramsJson !== undefined) {
      try {
        paramsText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(asked.paramsJson);
        params = JSON.parse(paramsText);
      } catch {
        throw new Fault("INVALID", `the params of ${named} are not JSON`);
      }
    }
    if (params == null && needsParams) throw new Fault("INVALID", `check params required for ${named}`);
    return { provider: asked.providerId, check: asked.checkId, params, paramsText };
  }
}

const broken = (why: string) => new Fault("INTERNAL", `the evidence plugin broke the protocol: it answered ${why}`);

function limit<T extends string | Uint8Array>(what: string, data: T, most: number): T {
  const size = Buffer.byteLength(data);
  if (size > most) throw broken(`${what} of ${size} bytes, more than ${most}`);
  return data;
}

function toWire(r: Result): Message {
  if (typeof r !== "object" || r === null) throw broken("no result: want what answer, noAnswer or failure returns");
  const lane = r.lane === undefined ? 0 : lanes[r.lane];
  if (lane === undefined || (lane === 0 && !r.error)) throw broken("no lane, or one that does not exist");
  if (r.sha256 && (r.sha256.length !== 32 || r.value === undefined)) throw broken("a SHA-256 of another size, or of no value");
  const value = r.value === undefined ? undefined : limit("a value", typeof r.value === "string" ? Buffer.from(r.value) : r.value, maxValue);
  return {
    value: value && { case: typeof r.value === "string" ? "json" : "raw", value },
    lane,
    error: r.error && {
      code: limit("an error code", r.error.code, maxName), message: limit("an error message", r.error.message, maxText),
      detailsJson: r.error.details === undefined ? undefined : limit("error details", Buffer.from(JSON.stringify(r.error.details)), maxDetails),
    },
    anchor: r.anchor && { type: limit("an anchor type", r.anchor.type, maxName), value: limit("an anchor value", r.anchor.value, maxText) },
    refUri: r.ref && limit("a reference", r.ref, maxText),
    contentType: r.contentType && limit("a content type", r.contentType, maxName),
    sha256: r.sha256,
    signature: r.signature && {
      scheme: limit("a signature scheme", r.signature.scheme, maxName), keyId: limit("a key id", r.signature.keyId, maxText),
      signature: limit("a signature", r.signature.signature, maxSignature),
    },
  };
}
