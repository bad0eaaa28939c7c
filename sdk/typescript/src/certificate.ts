// The certificate with which the plugin serves, written by hand in DER: node:crypto makes keys and signatures, and no certificates.
// It is made at each start, and its key never leaves the process.

import { generateKeyPairSync, randomBytes, sign } from "node:crypto";

const hour = 3_600_000;
const lifetime = 10 * 365 * 24 * hour; // outlives any process

function tlv(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const size = body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

const sequence = (...content: Buffer[]) => tlv(0x30, ...content);
const oid = (hex: string) => tlv(0x06, Buffer.from(hex, "hex"));
const octets = (content: Buffer) => tlv(0x04, content);
const utc = (millis: number) => tlv(0x17, Buffer.from(new Date(millis).toISOString().replace(/^..|[-:T]|\.\d+/g, "")));

const ecdsaWithSHA256 = sequence(oid("2a8648ce3d040302"));
const commonName = sequence(tlv(0x31, sequence(oid("550403"), tlv(0x0c, Buffer.from("localhost")))));
const extensions = tlv(0xa3, sequence(
  sequence(oid("551d11"), octets(sequence(tlv(0x82, Buffer.from("localhost"))))), // subject alternative name
  sequence(oid("551d25"), octets(sequence(oid("2b06010505070301")))), // extended key usage: server
  sequence(oid("551d13"), tlv(0x01, Buffer.from([0xff])), octets(sequence())), // basic constraints: no authority
));

/** A key and a certificate for "localhost", both in PEM, and the certificate as the handshake line has it. */
export function makeCertificate(): { key: Buffer; certificate: Buffer; printed: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x3f) | 0x40; // positive, and in the shortest form
  const signed = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))), tlv(0x02, serial), ecdsaWithSHA256, commonName,
    sequence(utc(Date.now() - hour), utc(Date.now() + lifetime)), commonName,
    publicKey.export({ type: "spki", format: "der" }), extensions,
  );
  const der = sequence(signed, ecdsaWithSHA256, tlv(0x03, Buffer.from([0]), sign("sha256", signed, privateKey)));
  const base64 = der.toString("base64");
  return {
    key: Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" })),
    certificate: Buffer.from(`-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`),
    printed: base64.replace(/=+$/, ""),
  };
}
