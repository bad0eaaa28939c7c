// Standard output belongs to the host: one line of it is the handshake, and a pipe that nobody reads would block the plugin.
// What the author's code prints goes to standard error.

import { writeSync } from "node:fs";

export const cookie = { key: "DECISION_GATE_PLUGIN", value: "0b9a5f2e-7c41-4d0e-9d5c-1f2f6a8d3c77" };

export const startedByHost = process.env[cookie.key] === cookie.value;

if (startedByHost) {
  process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
}

/** Writes the one line that the host waits for. */
export function printHandshake(line: string): void {
  writeSync(1, line);
}
