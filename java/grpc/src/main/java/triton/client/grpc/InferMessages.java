package triton.client.grpc;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import inference.GrpcService.InferParameter;
import inference.GrpcService.InferTensorContents;
import inference.GrpcService.ModelInferRequest;
import inference.GrpcService.ModelInferResponse;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import triton.client.BinaryProtocol;
import triton.client.InferInput;
import triton.client.InferRequest;
import triton.client.InferRequestedOutput;
import triton.client.InferResult;
import triton.client.OutputTensor;
import triton.client.pojo.DataType;

/** Inference requests and answers as messages. */
final class InferMessages {
  private InferMessages() {}

  /**
   * Returns the message of a request.
   *
   * @throws IllegalArgumentException an input has no data
   */
  static ModelInferRequest encode(InferRequest request) {
    ModelInferRequest.Builder message =
        ModelInferRequest.newBuilder()
            .setModelName(request.model())
            .setModelVersion(request.version())
            .setId(request.id());
    request.parameters().forEach((name, value) -> message.putParameters(name, parameter(value)));
    for (InferInput input : request.inputs()) {
      ModelInferRequest.InferInputTensor.Builder tensor =
          message
              .addInputsBuilder()
              .setName(input.getName())
              .setDatatype(input.getDatatype().name());
      for (long size : input.getShape()) {
        tensor.addShape(size);
      }
      Map<String, Object> parameters = input.getParameters();
      parameters.forEach((name, value) -> tensor.putParameters(name, parameter(value)));
      ByteBuffer data = input.getData();
      if (data != null) {
        message.addRawInputContents(UnsafeByteOperations.unsafeWrap(data));
      } else if (!parameters.containsKey("shared_memory_region")) {
        throw new IllegalArgumentException(
            "input " + input.getName() + " has no data; call setData or setSharedMemory");
      }
    }
    for (InferRequestedOutput output : request.outputs()) {
      ModelInferRequest.InferRequestedOutputTensor.Builder tensor =
          message.addOutputsBuilder().setName(output.getTensor().getName());
      Map<String, Object> parameters = new LinkedHashMap<>(output.parameters());
      parameters.remove("binary_data"); // which concerns HTTP alone
      parameters.forEach((name, value) -> tensor.putParameters(name, parameter(value)));
    }
    return message.build();
  }

  static InferParameter parameter(Object value) {
    InferParameter.Builder parameter = InferParameter.newBuilder();
    if (value instanceof Boolean) {
      return parameter.setBoolParam((Boolean) value).build();
    }
    if (value instanceof Double) {
      return parameter.setDoubleParam((Double) value).build();
    }
    if (value instanceof BigInteger) {
      return parameter.setUint64Param(((BigInteger) value).longValue()).build();
    }
    if (value instanceof Number) {
      return parameter.setInt64Param(((Number) value).longValue()).build();
    }
    return parameter.setStringParam(value.toString()).build();
  }

  /**
   * Returns the answer of a message. Its outputs are views of the message.
   *
   * @throws IllegalArgumentException the message contradicts itself
   */
  static InferResult decode(ModelInferResponse message) {
    List<OutputTensor> outputs = new ArrayList<>(message.getOutputsCount());
    int raw = 0;
    for (ModelInferResponse.InferOutputTensor output : message.getOutputsList()) {
      Map<String, Object> parameters = parameters(output.getParametersMap());
      ByteBuffer data = null;
      if (output.hasContents()) {
        data = contents(output.getDatatype(), output.getContents());
      } else if (raw < message.getRawOutputContentsCount()) {
        ByteString bytes = message.getRawOutputContents(raw++);
        // Empty contents of a tensor with elements are Triton's way to say: in shared memory.
        boolean elsewhere = bytes.isEmpty() && !output.getShapeList().contains(0L);
        data = elsewhere ? null : bytes.asReadOnlyByteBuffer();
      }
      long[] shape = output.getShapeList().stream().mapToLong(Long::longValue).toArray();
      outputs.add(
          new OutputTensor(output.getName(), output.getDatatype(), shape, data, parameters));
    }
    if (raw != message.getRawOutputContentsCount()) {
      throw new IllegalArgumentException(
          message.getRawOutputContentsCount() + " raw contents for " + raw + " outputs");
    }
    return new InferResult(
        message.getModelName(),
        message.getModelVersion(),
        message.getId(),
        parameters(message.getParametersMap()),
        outputs);
  }

  private static Map<String, Object> parameters(Map<String, InferParameter> messages) {
    Map<String, Object> parameters = new LinkedHashMap<>();
    messages.forEach((name, value) -> parameters.put(name, plain(value)));
    return parameters;
  }

  private static Object plain(InferParameter parameter) {
    switch (parameter.getParameterChoiceCase()) {
      case BOOL_PARAM:
        return parameter.getBoolParam();
      case INT64_PARAM:
        return parameter.getInt64Param();
      case UINT64_PARAM:
        return new BigInteger(Long.toUnsignedString(parameter.getUint64Param()));
      case DOUBLE_PARAM:
        return parameter.getDoubleParam();
      default:
        return parameter.getStringParam();
    }
  }

  /** Typed contents, which servers other than Triton send, as wire bytes. */
  private static ByteBuffer contents(String datatype, InferTensorContents contents) {
    DataType type = DataType.valueOf(datatype);
    switch (type) {
      case BOOL:
        boolean[] booleans = new boolean[contents.getBoolContentsCount()];
        for (int i = 0; i < booleans.length; i++) {
          booleans[i] = contents.getBoolContents(i);
        }
        return ByteBuffer.wrap(BinaryProtocol.toBytes(type, booleans));
      case INT8:
      case INT16:
      case INT32:
        return integers(type, contents.getIntContentsList());
      case INT64:
        return integers(type, contents.getInt64ContentsList());
      case UINT8:
      case UINT16:
      case UINT32:
        return integers(type, contents.getUintContentsList());
      case UINT64:
        return integers(type, contents.getUint64ContentsList());
      case FP32:
        float[] floats = new float[contents.getFp32ContentsCount()];
        for (int i = 0; i < floats.length; i++) {
          floats[i] = contents.getFp32Contents(i);
        }
        return ByteBuffer.wrap(BinaryProtocol.toBytes(type, floats));
      case FP64:
        double[] doubles = new double[contents.getFp64ContentsCount()];
        for (int i = 0; i < doubles.length; i++) {
          doubles[i] = contents.getFp64Contents(i);
        }
        return ByteBuffer.wrap(BinaryProtocol.toBytes(type, doubles));
      case BYTES:
        return bytes(contents.getBytesContentsList());
      default:
        throw new IllegalArgumentException(
            "an output of datatype " + datatype + " has typed contents, which there are none of");
    }
  }

  private static ByteBuffer integers(DataType type, List<? extends Number> values) {
    ByteBuffer data =
        ByteBuffer.allocate(Math.multiplyExact(values.size(), type.numByte))
            .order(ByteOrder.LITTLE_ENDIAN);
    for (Number value : values) {
      switch (type.numByte) {
        case 1:
          data.put(value.byteValue());
          break;
        case 2:
          data.putShort(value.shortValue());
          break;
        case 4:
          data.putInt(value.intValue());
          break;
        default:
          data.putLong(value.longValue());
      }
    }
    return data.flip();
  }

  private static ByteBuffer bytes(List<ByteString> values) {
    int size = 0;
    for (ByteString value : values) {
      size = Math.addExact(size, 4 + value.size());
    }
    ByteBuffer data = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    for (ByteString value : values) {
      data.putInt(value.size());
      value.copyTo(data);
    }
    return data.flip();
  }
}
