// The messages of the protocol, made from its description, which protocol.binpb holds.

import { createFileRegistry, fromBinary, toBinary, create, type DescService, type MessageInitShape, type DescMessage } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { ServiceDefinition } from "@grpc/grpc-js";

import description from "./protocol.binpb";

export const protocol = "decisiongate.plugin.v1";
/** The minor version that this SDK speaks. */
export const minor = 1;

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(description, "base64")));

/** A message of the protocol, by the names of its members. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Message = any;

/** A service as gRPC wants it described. */
export function service(name: string): ServiceDefinition {
  const described = registry.getService(`${protocol}.${name}`) as DescService;
  return Object.fromEntries(described.methods.map((method) => [method.name, {
    path: `/${protocol}.${name}/${method.name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: (message: Message) => Buffer.from(toBinary(method.input, message)),
    requestDeserialize: (data: Buffer) => fromBinary(method.input, data),
    responseSerialize: (message: Message) => Buffer.from(toBinary(method.output, create(method.output, message as MessageInitShape<DescMessage>))),
    responseDeserialize: (data: Buffer) => fromBinary(method.output, data),
  }]));
}
