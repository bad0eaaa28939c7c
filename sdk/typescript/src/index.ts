/**
 * Everything that a plugin of Decision Gate Host in TypeScript imports.
 *
 *     serve({ name: "evidence-tickets", version: "1.0.0", evidence: () => ({ contract, query: () => answer("done") }) });
 *
 * From the import on, what the program prints goes to standard error: the host reads standard output.
 */
import "./stdio"; // first: it takes standard output over before anything of the author's can print

export type { Attribute, Block, Schema, Settings } from "./config";
export { answer, answerText, failure, noAnswer, type About, type Lane, type Provider, type Query, type Result } from "./evidence";
export { Fault, type Reason } from "./fault";
export { log } from "./log";
export { serve, type Plugin } from "./process";
