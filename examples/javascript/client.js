// Asks a server how it is, and adds and subtracts with its model "simple":
// node client.js [host:port]

import grpc from '@grpc/grpc-js';

import { Server } from './server.js';
import { run } from './simple.js';
import { inferRequest } from './tensors.js';

// A server refuses with a code and a text.
async function showRefusal(server) {
  try {
    await server.modelInfer(inferRequest('nowhere', []));
  } catch (error) {
    if (error.code !== grpc.status.NOT_FOUND) {
      throw error;
    }
    console.log(`refused: ${error.details}`);
  }
}

const server = new Server(process.argv[2] ?? 'localhost:8001');
try {
  await run(server);
  await showRefusal(server);
} catch (error) {
  // Refusals have a code and a text; anything else is a mistake of this program.
  console.error(error.details ? `${grpc.status[error.code]}: ${error.details}` : error);
  process.exitCode = 1;
} finally {
  server.close();
}
