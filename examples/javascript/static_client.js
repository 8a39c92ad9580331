// The same with generated code in place of the .proto files: node static_client.js [host:port]

import grpc from '@grpc/grpc-js';

import triton from './build/triton.cjs';
import { run } from './simple.js';

const TIMEOUT = 10_000; // milliseconds for each call
const { GRPCInferenceService } = triton.inference;

const unchanged = (bytes) => bytes; // messages are bytes already
const client = new grpc.Client(
  process.argv[2] ?? 'localhost:8001',
  grpc.credentials.createInsecure(),
  { 'grpc.max_receive_message_length': -1 },
);
const server = new GRPCInferenceService((method, message, callback) => {
  const path = `/inference.GRPCInferenceService/${method.name}`;
  const options = { deadline: Date.now() + TIMEOUT };
  client.makeUnaryRequest(path, unchanged, unchanged, message, options, callback);
});

try {
  await run(server);
} catch (error) {
  // Refusals have a code and a text; anything else is a mistake of this program.
  console.error(error.details ? `${grpc.status[error.code]}: ${error.details}` : error);
  process.exitCode = 1;
} finally {
  client.close();
}
