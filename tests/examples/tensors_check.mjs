// Sends tensors of all datatypes through the model "echo" with the modules of
// examples/javascript, for tests/examples/test_generated_apis.py:
//
//   node tensors_check.mjs FOLDER HOST:PORT <tensors.json
//
// Reads {datatype: {shape, values}} and writes {datatype: {shape, values, raw, contents}}: what
// came back, its bytes, and the bytes of what an answer with typed contents would have given.
// Values beyond 53 bits are texts.

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [folder, address] = process.argv.slice(2);
const load = (name) => import(new URL(name, pathToFileURL(`${folder}/`)));
const { Server } = await load('server.js');
const { inferRequest, outputsOf, toRaw } = await load('tensors.js');

const FIELDS = [
  [/^BOOL$/, 'bool_contents'],
  [/^UINT64$/, 'uint64_contents'],
  [/^UINT/, 'uint_contents'],
  [/^INT64$/, 'int64_contents'],
  [/^INT/, 'int_contents'],
  [/^FP32$/, 'fp32_contents'],
  [/^FP64$/, 'fp64_contents'],
  [/^BYTES$/, 'bytes_contents'],
];

const wide = (datatype) => datatype.endsWith('64') && datatype !== 'FP64';

function withContents(datatype, shape, values) {
  const [, field] = FIELDS.find(([pattern]) => pattern.test(datatype)) ?? [];
  if (field === undefined) {
    return null;
  }
  const elements = datatype === 'BYTES' ? values.map((value) => Buffer.from(value)) : values;
  const contents = { [field]: elements };
  const output = { name: 'X', datatype, shape: shape.map(String), contents };
  const { data } = outputsOf({ outputs: [output], raw_output_contents: [] }).get('X');
  return toRaw(datatype, data).toString('hex');
}

const sent = JSON.parse(readFileSync(0, 'utf8'));
const inputs = Object.entries(sent).map(([datatype, { shape, values }]) => {
  const data = wide(datatype) ? values.map(BigInt) : values;
  return { name: `INPUT_${datatype}`, datatype, shape, data };
});
const server = new Server(address);
const outputs = outputsOf(await server.modelInfer(inferRequest('echo', inputs)));
server.close();

const received = {};
for (const { datatype, shape, data } of outputs.values()) {
  const text = wide(datatype) || datatype === 'BYTES';
  received[datatype] = {
    shape,
    values: Array.from(data, (value) => (text ? value.toString() : value)),
    raw: toRaw(datatype, data).toString('hex'),
    contents: withContents(datatype, shape, sent[datatype].values),
  };
}
console.log(JSON.stringify(received));
