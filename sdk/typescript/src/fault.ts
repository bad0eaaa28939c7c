// Errors that survive the wire: a reason of a small set, on which the host acts, and a message for an operator.

import { Metadata, status, type ServiceError } from "@grpc/grpc-js";

/** The table of reasons is normative: see package sdk/fault. */
const codes = {
  INVALID: status.INVALID_ARGUMENT,
  NOT_FOUND: status.NOT_FOUND,
  TOO_LARGE: status.OUT_OF_RANGE,
  DENIED: status.PERMISSION_DENIED,
  UNAVAILABLE: status.UNAVAILABLE,
  DEADLINE: status.DEADLINE_EXCEEDED,
  CORRUPT: status.DATA_LOSS,
  LOCKED: status.FAILED_PRECONDITION,
  UNIMPLEMENTED: status.UNIMPLEMENTED,
  FULL: status.RESOURCE_EXHAUSTED,
  INTERNAL: status.INTERNAL,
} as const;

export type Reason = keyof typeof codes;

/** An error with a reason, such as new Fault("INVALID", "the params must name a ticket"). The message holds no secret. */
export class Fault extends Error {
  constructor(readonly reason: Reason, message: string) {
    super(message);
  }
}

/** The fault of any error. The text of one that is not classified stays here: it may hold a secret. */
export function classify(error: unknown): Fault {
  return error instanceof Fault ? error : new Fault("INTERNAL", "internal error");
}

function field(number: number, text: string | Buffer): Buffer {
  const data = Buffer.from(text as string);
  const head = [(number << 3) | 2];
  let length = data.length;
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, length]), data]);
}

/** The error as a call ends with it: code, message, and google.rpc.ErrorInfo with the reason. */
export function toStatus(fault: Fault): Partial<ServiceError> {
  const info = Buffer.concat([field(1, fault.reason), field(2, "decision-gate")]);
  const detail = Buffer.concat([field(1, "type.googleapis.com/google.rpc.ErrorInfo"), field(2, info)]);
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.concat([Buffer.from([8, codes[fault.reason]]), field(2, fault.message), field(3, detail)]));
  return { code: codes[fault.reason], details: fault.message, metadata };
}
