package triton.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import triton.client.internal.Json;
import triton.client.internal.Tensors;
import triton.client.pojo.DataType;

/** What a real Triton answered, sent to our client by a stub. */
class RecordingsTest {
  private static final Pattern MODEL =
      Pattern.compile("/v2/models/([^/]+)(?:/versions/([^/]+))?(/.*)?");
  private static final Pattern REGION =
      Pattern.compile("/v2/(system|cuda)sharedmemory(?:/region/([^/]+))?/(\\w+)");
  private static final Pattern REPOSITORY =
      Pattern.compile("/v2/repository/models/([^/]+)/(load|unload)");

  @TestFactory
  List<DynamicContainer> recordings() throws IOException {
    List<DynamicContainer> subjects = new ArrayList<>();
    for (String subject : Recordings.subjects()) {
      List<DynamicTest> tests = new ArrayList<>();
      for (Recordings.Exchange exchange : Recordings.load(subject)) {
        tests.add(DynamicTest.dynamicTest(exchange.name, () -> check(exchange)));
      }
      subjects.add(DynamicContainer.dynamicContainer(subject, tests));
    }
    assertTrue(subjects.size() >= 10);
    return subjects;
  }

  private static void check(Recordings.Exchange exchange) throws Exception {
    AtomicReference<Stub.Request> sent = new AtomicReference<>();
    Stub.Handler replay =
        (request, socket) -> {
          sent.set(request);
          Stub.send(socket, exchange.response.bytes);
        };
    try (Stub stub = new Stub(replay);
        Client client = Client.of(stub.url())) {
      String[] line = exchange.request.first.split(" ");
      InferRequest request = line[1].endsWith("/infer") ? readable(exchange) : null;
      Operation<?> operation = operation(client, line[0], line[1], request);
      int status = exchange.response.status();
      if (status >= 400 && !line[1].contains("/ready") && !line[1].contains("/health/")) {
        InferenceException refusal =
            assertThrows(InferenceException.class, operation::execute, exchange.name);
        assertEquals(InferenceException.class, refusal.getClass());
        assertEquals(error(exchange), refusal.getMessage());
        assertEquals(status, refusal.status());
        assertEquals(stub.url(), refusal.endpoint());
      } else {
        Object answer = operation.execute();
        if (answer instanceof Boolean) {
          assertEquals(status == 200, answer);
        } else if (answer instanceof InferResult) {
          checkOutputs(exchange, (InferResult) answer);
        } else if (answer instanceof Map) {
          assertEquals(json(exchange.response), answer);
        }
      }
      assertEquals(line[0], sent.get().method);
      assertEquals(line[1], sent.get().path);
      if (request != null) {
        checkRequest(exchange, sent.get());
      }
    }
  }

  private static String error(Recordings.Exchange exchange) throws IOException {
    return (String) ((Map<?, ?>) json(exchange.response)).get("error");
  }

  private static Object json(Recordings.Message message) throws IOException {
    return Json.parse(message.body, 0, message.headLength());
  }

  private static Operation<?> operation(
      Client client, String method, String path, InferRequest request) {
    switch (method + " " + path) {
      case "GET /v2":
        return client.serverMetadata();
      case "GET /v2/health/live":
        return client.isServerLive();
      case "GET /v2/health/ready":
        return client.isServerReady();
      case "GET /v2/models/stats":
        return client.statistics();
      case "POST /v2/repository/index":
        return client.repositoryIndex();
      case "GET /v2/trace/setting":
        return client.traceSettings();
      case "POST /v2/trace/setting":
        return client.updateTraceSettings("", Map.of());
      case "GET /v2/logging":
        return client.logSettings();
      case "POST /v2/logging":
        return client.updateLogSettings(Map.of());
      default:
    }
    Matcher region = REGION.matcher(path);
    if (region.matches()) {
      String name = region.group(2) == null ? "" : region.group(2);
      boolean system = region.group(1).equals("system");
      switch (region.group(3)) {
        case "status":
          return system
              ? client.systemSharedMemoryStatus(name)
              : client.cudaSharedMemoryStatus(name);
        case "register":
          return system
              ? client.registerSystemSharedMemory(name, "/key", 64, 0)
              : client.registerCudaSharedMemory(name, new byte[64], 0, 64);
        default:
          return system
              ? client.unregisterSystemSharedMemory(name)
              : client.unregisterCudaSharedMemory(name);
      }
    }
    Matcher repository = REPOSITORY.matcher(path);
    if (repository.matches()) {
      return repository.group(2).equals("load")
          ? client.loadModel(repository.group(1))
          : client.unloadModel(repository.group(1));
    }
    Matcher model = MODEL.matcher(path);
    assertTrue(model.matches(), path);
    String name = model.group(1);
    String version = model.group(2) == null ? "" : model.group(2);
    switch (model.group(3) == null ? "" : model.group(3)) {
      case "":
        return client.modelMetadata(name, version);
      case "/ready":
        return client.isModelReady(name, version);
      case "/config":
        return client.modelConfig(name, version);
      case "/stats":
        return client.statistics(name, version);
      case "/trace/setting":
        return method.equals("GET")
            ? client.traceSettings(name)
            : client.updateTraceSettings(name, Map.of());
      case "/infer":
        InferRequest any = InferRequest.of(name).version(version).input("INPUT", new int[] {1}, 1);
        return client.infer(request == null ? any : request);
      default:
        throw new IllegalArgumentException(path);
    }
  }

  /** The recorded request, or null for one that our client does not send, such as wrong ones. */
  private static InferRequest readable(Recordings.Exchange exchange) {
    try {
      Matcher model = MODEL.matcher(exchange.request.first.split(" ")[1]);
      assertTrue(model.matches());
      InferRequest request = InferRequest.of(model.group(1)).version(model.group(2));
      Map<?, ?> head = (Map<?, ?>) json(exchange.request);
      request.id((String) head.get("id"));
      int position = exchange.request.headLength();
      for (Object each : (List<?>) head.get("inputs")) {
        Map<?, ?> described = (Map<?, ?>) each;
        position = addInput(request, described, exchange.request.body, position);
      }
      if (position != exchange.request.body.length) {
        return null;
      }
      addOutputs(request, head);
      return addParameters(request, head) ? request : null;
    } catch (IOException | RuntimeException e) {
      return null;
    }
  }

  private static int addInput(
      InferRequest request, Map<?, ?> described, byte[] body, int position) {
    List<?> sizes = (List<?>) described.get("shape");
    long[] shape = sizes.stream().mapToLong(size -> ((Number) size).longValue()).toArray();
    DataType type = DataType.valueOf((String) described.get("datatype"));
    InferInput input = new InferInput((String) described.get("name"), shape, type);
    Map<?, ?> parameters = (Map<?, ?>) described.get("parameters");
    Object values = described.get("data");
    if (values != null) {
      input.setData(texts(type, (List<?>) values), false);
      request.input(input);
      return position;
    }
    if (parameters.containsKey("shared_memory_region")) {
      Object offset = parameters.get("shared_memory_offset");
      input.setSharedMemory(
          (String) parameters.get("shared_memory_region"),
          ((Number) parameters.get("shared_memory_byte_size")).longValue(),
          offset == null ? 0 : ((Number) offset).longValue());
      request.input(input);
      return position;
    }
    int size = (Integer) parameters.get("binary_data_size");
    input.setData(ByteBuffer.wrap(body, position, size));
    request.input(input);
    return position + size;
  }

  /** Only BYTES are read back from JSON here; numbers are tested against servers. */
  private static String[] texts(DataType type, List<?> values) {
    if (type != DataType.BYTES) {
      throw new IllegalArgumentException("not read here");
    }
    return flat(values).toArray(new String[0]);
  }

  private static List<Object> flat(List<?> values) {
    List<Object> all = new ArrayList<>();
    for (Object value : values) {
      if (value instanceof List) {
        all.addAll(flat((List<?>) value));
      } else {
        all.add(value);
      }
    }
    return all;
  }

  private static void addOutputs(InferRequest request, Map<?, ?> head) {
    if (head.get("outputs") == null) {
      return;
    }
    for (Object each : (List<?>) head.get("outputs")) {
      Map<?, ?> output = (Map<?, ?>) each;
      Map<?, ?> parameters =
          output.get("parameters") == null ? Map.of() : (Map<?, ?>) output.get("parameters");
      Object classes = parameters.get("classification");
      boolean binary = Boolean.TRUE.equals(parameters.get("binary_data"));
      InferRequestedOutput asked =
          new InferRequestedOutput(
              (String) output.get("name"), binary, classes == null ? 0 : (Integer) classes);
      if (parameters.get("shared_memory_region") != null) {
        if (binary) {
          throw new IllegalArgumentException("our client does not ask for both");
        }
        asked.setSharedMemory(
            (String) parameters.get("shared_memory_region"),
            ((Number) parameters.get("shared_memory_byte_size")).longValue(),
            ((Number) parameters.get("shared_memory_offset")).longValue());
      }
      request.output(asked);
    }
  }

  private static boolean addParameters(InferRequest request, Map<?, ?> head) {
    Map<?, ?> parameters =
        head.get("parameters") == null ? Map.of() : (Map<?, ?>) head.get("parameters");
    request.binaryOutputs(Boolean.TRUE.equals(parameters.get("binary_data_output")));
    for (Map.Entry<?, ?> entry : parameters.entrySet()) {
      switch ((String) entry.getKey()) {
        case "binary_data_output":
          break;
        case "sequence_id":
          if (entry.getValue() instanceof String) {
            request.sequenceId((String) entry.getValue());
          } else {
            request.sequenceId(((Number) entry.getValue()).longValue());
          }
          break;
        case "sequence_start":
          request.sequenceStart((Boolean) entry.getValue());
          break;
        case "sequence_end":
          request.sequenceEnd((Boolean) entry.getValue());
          break;
        case "priority":
          request.priority(((Number) entry.getValue()).longValue());
          break;
        case "timeout":
          request.serverTimeoutMicros(((Number) entry.getValue()).longValue());
          break;
        default:
          request.parameter((String) entry.getKey(), entry.getValue());
      }
    }
    return true;
  }

  private static void checkRequest(Recordings.Exchange exchange, Stub.Request sent)
      throws IOException {
    String length = sent.headers.get("inference-header-content-length");
    int headLength = length == null ? sent.body.length : Integer.parseInt(length);
    assertEquals(normal(json(exchange.request)), normal(Json.parse(sent.body, 0, headLength)));
    byte[] recorded = exchange.request.body;
    assertArrayEquals(
        Arrays.copyOfRange(recorded, exchange.request.headLength(), recorded.length),
        Arrays.copyOfRange(sent.body, headLength, sent.body.length));
  }

  /** A head without what says the same when it is left out. */
  private static Object normal(Object head) {
    Map<String, Object> members = new LinkedHashMap<>();
    ((Map<?, ?>) head).forEach((name, value) -> members.put((String) name, value));
    Map<String, Object> parameters = new LinkedHashMap<>();
    if (members.remove("parameters") instanceof Map) {
      ((Map<?, ?>) ((Map<?, ?>) head).get("parameters"))
          .forEach((name, value) -> parameters.put((String) name, value));
    }
    parameters.remove("binary_data_output", false);
    if (parameters.containsKey("sequence_id")) {
      parameters.putIfAbsent("sequence_start", false);
      parameters.putIfAbsent("sequence_end", false);
    } else {
      parameters.remove("sequence_start");
      parameters.remove("sequence_end");
    }
    if (members.containsKey("outputs")) {
      parameters.remove("binary_data_output");
      List<Object> outputs = new ArrayList<>();
      for (Object each : (List<?>) members.get("outputs")) {
        Map<String, Object> output = new LinkedHashMap<>();
        ((Map<?, ?>) each).forEach((name, value) -> output.put((String) name, value));
        Map<String, Object> own = new LinkedHashMap<>(Map.of("binary_data", false));
        if (output.get("parameters") != null) {
          ((Map<?, ?>) output.get("parameters"))
              .forEach((name, value) -> own.put((String) name, value));
        }
        own.remove("classification", 0);
        output.put("parameters", own);
        outputs.add(output);
      }
      members.put("outputs", outputs);
    }
    members.put("parameters", parameters);
    members.put("inputs", normalInputs((List<?>) members.get("inputs")));
    return members;
  }

  private static List<Object> normalInputs(List<?> inputs) {
    List<Object> normal = new ArrayList<>();
    for (Object each : inputs) {
      Map<String, Object> input = new LinkedHashMap<>();
      ((Map<?, ?>) each).forEach((name, value) -> input.put((String) name, value));
      if (input.get("data") != null) {
        input.put("data", flat((List<?>) input.get("data")));
      }
      normal.add(input);
    }
    return normal;
  }

  private static void checkOutputs(Recordings.Exchange exchange, InferResult result)
      throws IOException {
    if (exchange.response.headers.containsKey("content-encoding")) {
      assertArrayEquals(new long[] {1, 16}, result.getShape("OUTPUT0"));
      return;
    }
    if (exchange.name.contains("no text")) { // its JSON is not UTF-8, which the parser here wants
      assertEquals(1, result.getOutputs().size());
      return;
    }
    Map<?, ?> head = (Map<?, ?>) json(exchange.response);
    assertEquals(head.get("model_name"), result.getModelName());
    assertEquals(head.get("model_version"), result.getModelVersion());
    int position = exchange.response.headLength();
    List<?> outputs = (List<?>) head.get("outputs");
    assertEquals(outputs.size(), result.getOutputs().size());
    for (Object each : outputs) {
      Map<?, ?> described = (Map<?, ?>) each;
      OutputTensor output = result.getOutput((String) described.get("name"));
      assertEquals(described.get("datatype"), output.datatype());
      assertEquals(described.get("shape").toString(), Arrays.toString(output.shape()));
      Map<?, ?> parameters = (Map<?, ?>) described.get("parameters");
      if (described.get("data") != null) {
        checkValues(flat((List<?>) described.get("data")), output);
      } else if (parameters != null && parameters.containsKey("binary_data_size")) {
        int size = (Integer) parameters.get("binary_data_size");
        assertEquals(ByteBuffer.wrap(exchange.response.body, position, size), output.data());
        position += size;
      }
    }
    assertEquals(exchange.response.body.length, position);
  }

  private static void checkValues(List<Object> expected, OutputTensor output) {
    Object[] values = InferCodec.jsonValues(output);
    assertEquals(expected.size(), values.length);
    for (int i = 0; i < values.length; i++) {
      Object wanted = expected.get(i);
      if (wanted instanceof Number) {
        boolean single = Tensors.datatype(output.datatype()) == DataType.FP32;
        double number = ((Number) wanted).doubleValue();
        if (single) {
          assertEquals((float) number, ((Number) values[i]).floatValue());
        } else if (Double.isNaN(number) || Double.isInfinite(number)) {
          assertEquals(number, values[i]);
        } else {
          assertEquals(
              0, new BigDecimal(wanted.toString()).compareTo(new BigDecimal(values[i].toString())));
        }
      } else {
        assertEquals(wanted, values[i]);
      }
    }
  }
}
