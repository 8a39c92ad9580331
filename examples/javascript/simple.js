// What both clients do with a server, whose operations are methods that return promises.

import { inferRequest, outputsOf } from './tensors.js';

const MODEL = 'simple';

export async function run(server) {
  await showHealth(server);
  await showMetadata(server);
  await addAndSubtract(server);
}

async function showHealth(server) {
  const { live } = await server.serverLive({});
  console.log(`server is live: ${live}`);
  const { ready } = await server.serverReady({});
  console.log(`server is ready: ${ready}`);
  const model = await server.modelReady({ name: MODEL });
  console.log(`model ${MODEL} is ready: ${model.ready}`);
}

async function showMetadata(server) {
  const metadata = await server.modelMetadata({ name: MODEL });
  for (const { name, datatype, shape } of metadata.inputs) {
    console.log(`input: ${name} ${datatype} [${shape.join(', ')}]`);
  }
  for (const { name, datatype, shape } of metadata.outputs) {
    console.log(`output: ${name} ${datatype} [${shape.join(', ')}]`);
  }
}

async function addAndSubtract(server) {
  const first = Int32Array.from({ length: 16 }, (_, index) => index);
  const second = new Int32Array(16).fill(1);
  const tensor = { datatype: 'INT32', shape: [1, 16] }; // a batch of one
  const inputs = [
    { name: 'INPUT0', ...tensor, data: first },
    { name: 'INPUT1', ...tensor, data: second },
  ];
  const response = await server.modelInfer(inferRequest(MODEL, inputs, ['OUTPUT0', 'OUTPUT1']));
  const outputs = outputsOf(response);
  const sums = outputs.get('OUTPUT0').data;
  const differences = outputs.get('OUTPUT1').data;
  first.forEach((a, index) => {
    const b = second[index];
    console.log(`${a} + ${b} = ${sums[index]}`);
    console.log(`${a} - ${b} = ${differences[index]}`);
    if (sums[index] !== a + b || differences[index] !== a - b) {
      throw new Error(`wrong at index ${index}`);
    }
  });
}
