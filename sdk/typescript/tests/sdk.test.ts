// What the kit does not see: settings that are refused, durations, certificates.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import test from "node:test";

import { makeCertificate } from "../src/certificate";
import { applySchema, checkSchema, schemaToWire, seconds, type Schema } from "../src/config";
import { answer, answerText } from "../src/evidence";
import { classify, Fault } from "../src/fault";

const schema: Schema = [
  { name: "path", required: true }, { name: "mode", oneOf: ["safe", "fast"], default: "safe" },
  { name: "size", type: "integer", minimum: 1, maximum: 10 }, { name: "share", type: "number", maximum: 1 },
  { name: "wait", type: "duration", maximum: "1h" }, { name: "on", type: "bool" }, { name: "tags", type: "list(string)", oneOf: ["a", "b"] },
  { name: "password", secret: true, oneOf: ["x"] },
  { name: "lock", body: [{ name: "keep", type: "integer", default: 3 }] }, { name: "rule", repeated: true, body: [{ name: "name", required: true }] },
];

test("settings", () => {
  for (const [text, want] of [
    ['{"path":"p"}', { path: "p", mode: "safe" }],
    ['{"path":"p","size":10,"on":null,"wait":"59m60s","lock":{},"rule":[{"name":"a"}]}',
      { path: "p", mode: "safe", size: 10, wait: "59m60s", lock: { keep: 3 }, rule: [{ name: "a" }] }],
  ] as const) assert.deepEqual(JSON.parse(JSON.stringify(applySchema(schema, text))), want);
  for (const [text, want] of [
    ["[]", "config body: want an object"], ["{", "config body: want an object"], ["{}", "config path: the attribute is required"],
    ['{"path":1}', "config path: want a string"], ['{"path":"p","mode":"reckless"}', "config mode: want one of"],
    ['{"path":"p","size":"10"}', "config size: want an integer"], ['{"path":"p","size":0}', "config size: want at least 1"],
    ['{"path":"p","share":1.0001}', "config share: want at most 1"], ['{"path":"p","wait":5}', "config wait: want a duration"],
    ['{"path":"p","wait":"2h"}', "config wait: want at most 1h"], ['{"path":"p","on":"true"}', "config on: want true or false"],
    ['{"path":"p","tags":["a","c"]}', "config tags: want one of"], ['{"path":"p","password":"hunter2"}', "config password: want one of"],
    ['{"path":"p","lock":[]}', "config lock: want an object"], ['{"path":"p","lock":{"kep":1}}', "config lock.kep: the plugin has no such attribute"],
    ['{"path":"p","__proto__":1}', "config __proto__: the plugin has no such attribute"], ['{"path":"p","rule":{}}', "config rule: want a list of objects"],
    ['{"path":"p","rule":[{"name":"a"},{}]}', "config rule[1].name: the attribute is required"],
  ]) {
    assert.throws(() => applySchema(schema, text), (error: unknown) => {
      assert.ok(error instanceof Fault && error.reason === "INVALID" && error.message.startsWith(want) && !error.message.includes("hunter2"), `${text}: ${error}`);
      return true;
    });
  }
});

test("schemas", () => {
  checkSchema(schema);
  const wrong: Schema[] = [
    [{ name: "" }], [{ name: "a", type: "integer", default: "x" }], [{ name: "a", required: true, default: "x" }],
    [{ name: "a" }, { name: "a", body: [] }], [{ name: "b", body: [{ name: "" }] }],
  ];
  for (const each of wrong) assert.throws(() => checkSchema(each));
  const wire = schemaToWire(schema);
  assert.deepEqual([wire.attributes[1].defaultJson, wire.attributes[2].maximum, wire.blocks[1].repeated], ['"safe"', "10", true]);
});

test("durations", () => {
  for (const [text, want] of [["250ms", 0.25], ["1h2m3.5s", 3723.5], ["-1s", -1], ["0", 0], ["1.5h", 5400]] as const) assert.equal(seconds(text), want);
  for (const text of ["", "s", "1", "1 s", "--1s", "1d", "1s ", 5, null]) assert.equal(seconds(text), undefined);
});

test("answers and errors", () => {
  assert.equal(answerText("1.0").value, "1.0");
  assert.equal(answer(null).value, "null");
  for (const value of [undefined, NaN, Infinity, () => 1]) assert.throws(() => answer(value));
  assert.throws(() => answerText("{"));
  assert.equal(classify(new Error("secret")).message, "internal error");
});

test("certificates", () => {
  for (let i = 0; i < 20; i++) {
    const { certificate } = makeCertificate();
    const read = new X509Certificate(certificate);
    assert.equal(read.subjectAltName, "DNS:localhost");
    assert.ok(!read.ca && read.verify(read.publicKey) && read.checkHost("localhost") && new Date(read.validTo) > new Date());
  }
});
