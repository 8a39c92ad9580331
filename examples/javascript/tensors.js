// Tensors on the wire: typed arrays as raw contents, and the outputs of a response.

import { endianness } from 'node:os';

if (endianness() !== 'LE') {
  throw new Error('raw contents are little-endian, and typed arrays of this machine are not');
}

// JavaScript has no 16 bit floats before Float16Array of Node 24, so their bits stand for them.
const ARRAYS = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  BF16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
};

// Which field of InferTensorContents has the elements, for servers that do not answer raw.
const CONTENTS = {
  BOOL: 'bool_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
};

// A ModelInferRequest. Each input has a name, a datatype, a shape, and data: a typed array or a
// list of numbers; for BYTES a list of strings or buffers.
export function inferRequest(model, inputs, outputs = []) {
  return {
    model_name: model,
    inputs: inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
    outputs: outputs.map((name) => ({ name })),
    raw_input_contents: inputs.map(({ name, datatype, shape, data }) => {
      checkLength(`input ${name}`, shape, data);
      return toRaw(datatype, data);
    }),
  };
}

// The outputs of a ModelInferResponse by name, with their datatype, shape, and data: a typed
// array, for BYTES a list of buffers.
export function outputsOf(response) {
  const raw = response.raw_output_contents;
  const outputs = response.outputs.map(({ name, datatype, shape, contents }, index) => {
    const data = raw.length > 0 ? fromRaw(datatype, raw[index]) : fromContents(datatype, contents);
    const numbers = shape.map(Number);
    checkLength(`output ${name}`, numbers, data);
    return [name, { datatype, shape: numbers, data }];
  });
  return new Map(outputs);
}

export function toRaw(datatype, data) {
  if (datatype === 'BYTES') {
    return joinElements(data.map((element) => Buffer.from(element)));
  }
  const kind = arrayOf(datatype);
  const array = data instanceof kind ? data : kind.from(data);
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}

export function fromRaw(datatype, raw) {
  if (datatype === 'BYTES') {
    return splitElements(raw);
  }
  const kind = arrayOf(datatype);
  // Copied, because an array of wide elements can't begin just anywhere in memory.
  return new kind(new Uint8Array(raw).buffer);
}

function fromContents(datatype, contents) {
  const field = CONTENTS[datatype];
  if (field === undefined || !contents) {
    throw new TypeError(`an output of datatype ${datatype} has no contents`);
  }
  const elements = contents[field];
  if (datatype === 'BYTES') {
    return elements;
  }
  const kind = arrayOf(datatype);
  // 64 bit numbers come as text, which keeps all their digits.
  return kind.from(elements, kind.name.startsWith('Big') ? BigInt : Number);
}

function arrayOf(datatype) {
  const kind = ARRAYS[datatype];
  if (kind === undefined) {
    throw new TypeError(`${datatype} is no datatype`);
  }
  return kind;
}

function checkLength(what, shape, data) {
  const expected = shape.reduce((product, size) => product * size, 1);
  if (data.length !== expected) {
    throw new RangeError(`${what} of shape [${shape.join(', ')}] has ${data.length} elements`);
  }
}

// Each element of BYTES has its length in front, as four bytes.
function joinElements(elements) {
  const parts = elements.flatMap((element) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(element.length);
    return [length, element];
  });
  return Buffer.concat(parts);
}

function splitElements(raw) {
  const data = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const elements = [];
  for (let position = 0; position < data.length; ) {
    const start = position + 4;
    const end = start <= data.length ? start + data.readUInt32LE(position) : Infinity;
    if (end > data.length) {
      throw new RangeError(`the element at byte ${position} goes beyond the tensor's end`);
    }
    elements.push(data.subarray(start, end));
    position = end;
  }
  return elements;
}
