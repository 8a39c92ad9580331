// A server, called over gRPC by what its .proto files say when the program starts.

import { fileURLToPath } from 'node:url';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const PROTO = fileURLToPath(new URL('../../proto', import.meta.url));

function loadApi() {
  const definition = protoLoader.loadSync('grpc_service.proto', {
    includeDirs: [PROTO],
    keepCase: true, // model_name rather than modelName
    longs: String, // numbers of JavaScript are exact to 53 bits only
    enums: String,
    defaults: true, // fields that a message leaves out are there nevertheless
    oneofs: true,
  });
  return grpc.loadPackageDefinition(definition).inference;
}

// Has a method for each operation, such as modelInfer(request), that returns a promise of the
// response. The streaming one is not there. A refusal is an error with `code` and `details`.
export class Server {
  #client;
  #timeout;

  // The timeout is in milliseconds, for each call.
  constructor(url, { timeout = 10_000 } = {}) {
    const { GRPCInferenceService } = loadApi();
    this.#client = new GRPCInferenceService(url, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1, // else outputs end at 4 MiB
    });
    this.#timeout = timeout;
    for (const method of Object.values(GRPCInferenceService.service)) {
      if (!method.requestStream && !method.responseStream) {
        this[method.originalName] = (request) => this.#call(method.originalName, request);
      }
    }
  }

  #call(name, request) {
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + this.#timeout };
      this.#client[name](request, options, (error, response) =>
        error ? reject(error) : resolve(response),
      );
    });
  }

  close() {
    this.#client.close();
  }
}
