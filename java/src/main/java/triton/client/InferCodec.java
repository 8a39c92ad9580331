package triton.client;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import triton.client.internal.Body;
import triton.client.internal.Bytes;
import triton.client.internal.Json;
import triton.client.internal.Tensors;
import triton.client.pojo.DataType;

/**
 * Inference requests as bytes: a JSON head that describes the tensors, and behind it the data of
 * the binary ones, in order and without padding. Answers are the business of {@link AnswerReader}.
 */
final class InferCodec {
  static final String HEAD_LENGTH = "Inference-Header-Content-Length";

  private InferCodec() {}

  /**
   * Returns the body of a request.
   *
   * @throws IllegalArgumentException an input has no data, or there are two of one name
   */
  static Body encode(InferRequest request) {
    Bytes head = new Bytes(512);
    head.append("{");
    if (!request.id().isEmpty()) {
      head.append("\"id\":").append(Json.bytes(request.id())).append(",");
    }
    Map<String, Object> parameters = request.parameters();
    if (request.wantsBinary() && parameters.isEmpty()) {
      head.append("\"parameters\":{\"binary_data_output\":true},");
    } else if (!parameters.isEmpty()) {
      if (request.wantsBinary()) {
        parameters.put("binary_data_output", true);
      }
      head.append("\"parameters\":").append(Json.bytes(parameters)).append(",");
    }
    head.append("\"inputs\":[");
    List<InferInput> inputs = request.inputs();
    List<ByteBuffer> tensors = new ArrayList<>(inputs.size());
    for (int i = 0; i < inputs.size(); i++) {
      InferInput input = inputs.get(i);
      checkNamedOnce(inputs, i);
      if (i > 0) {
        head.append(",");
      }
      head.append(describe(input));
      if (input.data() != null && input.isBinary()) {
        tensors.add(input.data());
      }
    }
    head.append("]");
    List<InferRequestedOutput> outputs = request.outputs();
    for (int i = 0; i < outputs.size(); i++) {
      head.append(i == 0 ? ",\"outputs\":[" : ",").append(Json.bytes(outputs.get(i).describe()));
    }
    head.append(outputs.isEmpty() ? "}" : "]}");
    return Body.of(head, tensors);
  }

  private static void checkNamedOnce(List<InferInput> inputs, int index) {
    for (int i = 0; i < index; i++) {
      if (inputs.get(i).getName().equals(inputs.get(index).getName())) {
        throw new IllegalArgumentException(
            "there are two inputs named " + inputs.get(i).getName() + ", expected one of each");
      }
    }
  }

  private static byte[] describe(InferInput input) {
    byte[] known = input.description;
    if (known != null) {
      return known;
    }
    Map<String, Object> parameters = input.getParameters();
    if (input.data() == null && !parameters.containsKey("shared_memory_region")) {
      throw new IllegalArgumentException(
          "input " + input.getName() + " has no data; call setData or setSharedMemory");
    }
    boolean asJson = input.data() != null && !input.isBinary();
    if (input.data() != null && input.isBinary()) {
      parameters.put("binary_data_size", input.data().remaining());
    }
    Bytes out = new Bytes(128);
    try (JsonGenerator generator = Json.FACTORY.createGenerator(out)) {
      generator.writeStartObject();
      generator.writeStringField("name", input.getName());
      generator.writeFieldName("shape");
      generator.writeArray(input.shape(), 0, input.shape().length);
      generator.writeStringField("datatype", input.getDatatype().name());
      if (!parameters.isEmpty()) {
        generator.writeFieldName("parameters");
        Json.write(generator, parameters);
      }
      if (asJson) {
        generator.writeFieldName("data");
        writeValues(generator, input);
      }
      generator.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // memory does not fail
    }
    byte[] description = out.toByteArray();
    if (!asJson) { // values as JSON may be large
      input.description = description;
    }
    return description;
  }

  /**
   * Makes sure that values have a JSON form.
   *
   * @throws IllegalArgumentException they have not
   */
  static void checkJson(InferInput input, Object values) {
    DataType type = input.getDatatype();
    if (type == DataType.FP16 || type == DataType.BF16) {
      throw new IllegalArgumentException(
          "input " + input.getName() + ": " + type + " has no JSON form; send it as binary data");
    }
    if (values instanceof float[]) {
      for (float value : (float[]) values) {
        checkFinite(input, value);
      }
    } else if (values instanceof double[]) {
      for (double value : (double[]) values) {
        checkFinite(input, value);
      }
    } else if (values instanceof byte[][]) {
      for (byte[] value : (byte[][]) values) {
        checkText(input, value);
      }
    }
  }

  private static void checkFinite(InferInput input, double value) {
    if (Double.isNaN(value) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(
          "input "
              + input.getName()
              + " holds "
              + value
              + ", which has no JSON form; "
              + "send it as binary data");
    }
  }

  private static void checkText(InferInput input, byte[] value) {
    try {
      java.nio.charset.StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(value));
    } catch (java.nio.charset.CharacterCodingException e) {
      throw new IllegalArgumentException(
          "input " + input.getName() + " holds bytes that are not UTF-8; send it as binary data",
          e);
    }
  }

  private static void writeValues(JsonGenerator generator, InferInput input) throws IOException {
    generator.writeStartArray();
    int count = (int) Tensors.elementCount(input.shape());
    if (input.getDatatype() == DataType.BYTES) {
      for (byte[] value : Tensors.bytes(input.data(), count)) {
        generator.writeUTF8String(value, 0, value.length);
      }
    } else {
      for (int i = 0; i < count; i++) {
        writeValue(generator, input.getDatatype(), input.data(), i);
      }
    }
    generator.writeEndArray();
  }

  private static void writeValue(JsonGenerator generator, DataType type, ByteBuffer data, int i)
      throws IOException {
    int at = data.position() + i * type.numByte;
    switch (type) {
      case BOOL:
        generator.writeBoolean(data.get(at) != 0);
        break;
      case INT8:
        generator.writeNumber(data.get(at));
        break;
      case UINT8:
        generator.writeNumber(data.get(at) & 0xff);
        break;
      case INT16:
        generator.writeNumber(data.getShort(at));
        break;
      case UINT16:
        generator.writeNumber(data.getShort(at) & 0xffff);
        break;
      case INT32:
        generator.writeNumber(data.getInt(at));
        break;
      case UINT32:
        generator.writeNumber(data.getInt(at) & 0xffffffffL);
        break;
      case INT64:
        generator.writeNumber(data.getLong(at));
        break;
      case UINT64:
        generator.writeNumber(Long.toUnsignedString(data.getLong(at)));
        break;
      case FP32:
        generator.writeNumber(data.getFloat(at));
        break;
      default:
        generator.writeNumber(data.getDouble(at));
    }
  }

  /** Returns the elements of an output as the objects that JSON has for them. */
  static Object[] jsonValues(OutputTensor output) {
    ByteBuffer data = output.bytes();
    DataType type = output.known();
    int count = type == null ? 0 : output.elementCount();
    Object[] values = new Object[count];
    byte[][] elements = type == DataType.BYTES ? Tensors.bytes(data, count) : null;
    for (int i = 0; i < count; i++) {
      values[i] =
          elements != null
              ? new String(elements[i], java.nio.charset.StandardCharsets.UTF_8)
              : jsonValue(type, data, i);
    }
    return values;
  }

  private static Object jsonValue(DataType type, ByteBuffer data, int i) {
    int at = i * type.numByte;
    switch (type) {
      case BOOL:
        return data.get(at) != 0;
      case INT8:
        return (int) data.get(at);
      case UINT8:
        return data.get(at) & 0xff;
      case INT16:
        return (int) data.getShort(at);
      case UINT16:
        return data.getShort(at) & 0xffff;
      case INT32:
        return data.getInt(at);
      case UINT32:
        return data.getInt(at) & 0xffffffffL;
      case INT64:
        return data.getLong(at);
      case UINT64:
        return new java.math.BigInteger(Long.toUnsignedString(data.getLong(at)));
      case FP16:
      case BF16:
        return (double) Tensors.floats(type, data)[i];
      case FP32:
        return (double) data.getFloat(at);
      default:
        return data.getDouble(at);
    }
  }
}
