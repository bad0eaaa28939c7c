// What the "config" body of the plugin's block may hold. The host checks it with file and line; the plugin checks it again.

import { Fault } from "./fault";
import type { Message } from "./protocol";

const types = { string: 1, integer: 2, number: 3, bool: 4, "list(string)": 5, duration: 6 } as const;

/** One setting. Default and bounds are values of its type; a duration is a text such as "250ms". */
export interface Attribute {
  name: string;
  type?: keyof typeof types;
  help?: string;
  required?: boolean;
  default?: unknown;
  secret?: boolean;
  minimum?: number | string;
  maximum?: number | string;
  oneOf?: string[];
}

/** A nested block of settings: it has a body. */
export interface Block {
  name: string;
  help?: string;
  required?: boolean;
  repeated?: boolean;
  body: Schema;
}

export type Schema = (Attribute | Block)[];

const isBlock = (item: Attribute | Block): item is Block => "body" in item;

export function schemaToWire(schema: Schema): Message {
  return {
    attributes: schema.filter((item): item is Attribute => !isBlock(item)).map((a) => ({
      name: a.name, type: types[a.type ?? "string"], required: a.required ?? false, help: a.help ?? "", secret: a.secret ?? false,
      defaultJson: a.default === undefined ? "" : JSON.stringify(a.default),
      minimum: a.minimum === undefined ? "" : String(a.minimum), maximum: a.maximum === undefined ? "" : String(a.maximum), oneOf: a.oneOf ?? [],
    })),
    blocks: schema.filter(isBlock).map((b) => ({
      name: b.name, help: b.help ?? "", required: b.required ?? false, repeated: b.repeated ?? false, body: schemaToWire(b.body),
    })),
  };
}

/** Finds the author's mistakes before any user meets them. */
export function checkSchema(schema: Schema): void {
  const seen = new Set<string>();
  for (const item of schema) {
    if (!item.name || seen.has(item.name)) throw new Error(`config ${JSON.stringify(item.name)}: the name is empty or used twice`);
    seen.add(item.name);
    if (isBlock(item)) {
      checkSchema(item.body);
      continue;
    }
    if (!((item.type ?? "string") in types)) throw new Error(`config ${item.name}: there is no type ${item.type}`);
    if (item.default === undefined) continue;
    if (item.required) throw new Error(`config ${item.name}: a required attribute has no default`);
    const why = wrong(item, item.default);
    if (why) throw new Error(`config ${item.name}: its default: ${why}`);
  }
}

/** Settings, with defaults in the place of what is absent. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Settings = Record<string, any>;

/** Checks a body and fills in the defaults. What is refused is named, never its value, which may be secret. */
export function applySchema(schema: Schema, text: string): Settings {
  let body: unknown;
  try {
    body = text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    throw invalid("", "want an object");
  }
  return apply(schema, "", body);
}

const invalid = (path: string, why: string) => new Fault("INVALID", `config ${path.replace(/\.$/, "") || "body"}: ${why}`);

function apply(schema: Schema, path: string, given: unknown): Settings {
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw invalid(path, "want an object");
  const body: Settings = Object.assign(Object.create(null), given);
  for (const name of Object.keys(body)) if (body[name] === null) delete body[name];
  for (const item of schema) {
    const where = path + item.name;
    if (!(item.name in body)) {
      if (item.required) throw invalid(where, `the ${isBlock(item) ? "block" : "attribute"} is required`);
      if (!isBlock(item) && item.default !== undefined) body[item.name] = item.default;
    } else if (!isBlock(item)) {
      const why = wrong(item, body[item.name]);
      if (why) throw invalid(where, why);
    } else if (!item.repeated) {
      body[item.name] = apply(item.body, where + ".", body[item.name]);
    } else if (!Array.isArray(body[item.name])) {
      throw invalid(where, "want a list of objects");
    } else if (item.required && body[item.name].length === 0) {
      throw invalid(where, "the block is required");
    } else {
      body[item.name] = body[item.name].map((each: unknown, i: number) => apply(item.body, `${where}[${i}].`, each));
    }
  }
  for (const name of Object.keys(body).sort()) {
    if (!schema.some((item) => item.name === name)) throw invalid(path + name, "the plugin has no such attribute or block");
  }
  return body;
}

const units: Record<string, number> = { ns: 1e-9, us: 1e-6, "µs": 1e-6, "μs": 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

/** The seconds of a duration such as "1m30s", undefined when it is none. */
export function seconds(text: unknown): number | undefined {
  const whole = typeof text === "string" ? /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text) : null;
  if (!whole) return undefined;
  let total = 0;
  for (const [, n, unit] of whole[2].matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) total += Number(n) * units[unit];
  return whole[1] === "-" ? -total : total;
}

/** What is wrong with a value; undefined when nothing is. */
function wrong(a: Attribute, value: unknown): string | undefined {
  const type = a.type ?? "string";
  if (type === "string" || type === "list(string)") {
    const texts = type === "string" ? [value] : value;
    if (!Array.isArray(texts) || !texts.every((text) => typeof text === "string")) return type === "string" ? "want a string" : "want a list of strings";
    return a.oneOf?.length && texts.some((text) => !a.oneOf!.includes(text)) ? `want one of ${JSON.stringify(a.oneOf)}` : undefined;
  }
  if (type === "bool") return typeof value === "boolean" ? undefined : "want true or false";
  const read = type === "duration" ? seconds : (bound: unknown) => Number(bound);
  if (type === "duration" && seconds(value) === undefined) return 'want a duration such as "250ms"';
  if (type === "integer" && !Number.isSafeInteger(value)) return "want an integer";
  if (type === "number" && typeof value !== "number") return "want a number";
  if (a.minimum !== undefined && read(value)! < read(a.minimum)!) return `want at least ${a.minimum}`;
  if (a.maximum !== undefined && read(value)! > read(a.maximum)!) return `want at most ${a.maximum}`;
  return undefined;
}
