package triton.client;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import triton.client.internal.Checks;

/**
 * What to run a model with. Every setter returns this request. A request may be sent many times,
 * and by several threads as long as none of them sets anything.
 */
public final class InferRequest {
  /** Parameters that have a setter of their own, or that the protocol keeps for itself. */
  private static final Set<String> RESERVED =
      Set.of(
          "sequence_id",
          "sequence_start",
          "sequence_end",
          "priority",
          "timeout",
          "headers",
          "binary_data_output");

  private final String model;
  private final List<InferInput> inputs = new ArrayList<>();
  private final List<InferRequestedOutput> outputs = new ArrayList<>();
  private final Map<String, Object> custom = new LinkedHashMap<>();
  private String version = "";
  private String id = "";
  private Object sequenceId;
  private boolean sequenceStart;
  private boolean sequenceEnd;
  private long priority;
  private long serverTimeout;
  private boolean binary = true;

  private InferRequest(String model) {
    this.model = Checks.name("model", model);
  }

  /**
   * Creates a request without inputs.
   *
   * @param model the model's name
   * @return the request
   */
  public static InferRequest of(String model) {
    return new InferRequest(model);
  }

  /**
   * Chooses a version of the model; by default the server does.
   *
   * @param version the version, or ""
   * @return this
   */
  public InferRequest version(String version) {
    this.version = Checks.orEmpty(version);
    return this;
  }

  /**
   * Sets the request's id, which comes back with the answer and stands in the server's logs.
   *
   * @param id the id, or ""
   * @return this
   */
  public InferRequest id(String id) {
    this.id = Checks.orEmpty(id);
    return this;
  }

  /**
   * Adds an input.
   *
   * @param input the input
   * @return this
   */
  public InferRequest input(InferInput input) {
    inputs.add(Checks.notNull("input", input));
    return this;
  }

  /**
   * Adds an input of an array's datatype; see {@link InferInput#of}.
   *
   * @param name the input's name
   * @param data its elements in row-major order
   * @param shape the size of each dimension
   * @return this
   */
  public InferRequest input(String name, Object data, long... shape) {
    return input(InferInput.of(name, data, shape));
  }

  /**
   * Asks for an output; without this all outputs come back.
   *
   * @param output the output
   * @return this
   */
  public InferRequest output(InferRequestedOutput output) {
    outputs.add(Checks.notNull("output", output));
    return this;
  }

  /**
   * Asks for an output as binary data; without this all outputs come back.
   *
   * @param name the output's name
   * @return this
   */
  public InferRequest output(String name) {
    return output(new InferRequestedOutput(name));
  }

  /**
   * Chooses how outputs come back when none are asked for by name.
   *
   * @param binary whether as binary data, rather than as JSON; true by default
   * @return this
   */
  public InferRequest binaryOutputs(boolean binary) {
    this.binary = binary;
    return this;
  }

  /**
   * Makes the request part of a sequence.
   *
   * @param id the sequence's id, read as unsigned; 0 for none
   * @return this
   */
  public InferRequest sequenceId(long id) {
    sequenceId =
        id == 0 ? null : id > 0 ? id : (Object) new java.math.BigInteger(Long.toUnsignedString(id));
    return this;
  }

  /**
   * Makes the request part of a sequence.
   *
   * @param id the sequence's id; "" for none
   * @return this
   */
  public InferRequest sequenceId(String id) {
    sequenceId = Checks.orEmpty(id).isEmpty() ? null : id;
    return this;
  }

  /**
   * Marks the first request of a sequence.
   *
   * @param start whether it is
   * @return this
   */
  public InferRequest sequenceStart(boolean start) {
    sequenceStart = start;
    return this;
  }

  /**
   * Marks the last request of a sequence.
   *
   * @param end whether it is
   * @return this
   */
  public InferRequest sequenceEnd(boolean end) {
    sequenceEnd = end;
    return this;
  }

  /**
   * Sets the request's priority in the server's queue.
   *
   * @param priority the priority, read as unsigned; 0 for the model's own
   * @return this
   */
  public InferRequest priority(long priority) {
    this.priority = priority;
    return this;
  }

  /**
   * Sets how long the request may wait in the server's queue. The deadline of the call is another
   * thing; see {@link Operation#timeout}.
   *
   * @param timeout the time; it is sent in microseconds
   * @return this
   */
  public InferRequest serverTimeout(Duration timeout) {
    long micros = Checks.positive("serverTimeout", timeout).toNanos() / 1000;
    return serverTimeoutMicros(Math.max(1, micros));
  }

  InferRequest serverTimeoutMicros(long micros) {
    this.serverTimeout = micros;
    return this;
  }

  /**
   * Sets a parameter of the request, which models can read.
   *
   * @param name its name
   * @param value its value: a text, a number or a Boolean
   * @return this
   * @throws IllegalArgumentException the value is of another kind, or the name is reserved
   */
  public InferRequest parameter(String name, Object value) {
    Checks.parameter(name, value);
    if (RESERVED.contains(name) || name.startsWith("triton_")) {
      throw new IllegalArgumentException(
          "parameter " + name + " is reserved; use the setter for it, or another name");
    }
    custom.put(name, value);
    return this;
  }

  /** {@return the model's name} */
  public String model() {
    return model;
  }

  /** {@return the model's version, or ""} */
  public String version() {
    return version;
  }

  /** {@return the request's id, or ""} */
  public String id() {
    return id;
  }

  /** {@return the inputs} */
  public List<InferInput> inputs() {
    return Collections.unmodifiableList(inputs);
  }

  /** {@return the outputs that were asked for; empty for all} */
  public List<InferRequestedOutput> outputs() {
    return Collections.unmodifiableList(outputs);
  }

  /** {@return all parameters of the request as the protocol names them} */
  public Map<String, Object> parameters() {
    if (sequenceId == null && priority == 0 && serverTimeout <= 0 && custom.isEmpty()) {
      return Map.of();
    }
    Map<String, Object> all = new LinkedHashMap<>();
    if (sequenceId != null) {
      all.put("sequence_id", sequenceId);
      all.put("sequence_start", sequenceStart);
      all.put("sequence_end", sequenceEnd);
    }
    if (priority != 0) {
      all.put(
          "priority",
          priority > 0
              ? priority
              : (Object) new java.math.BigInteger(Long.toUnsignedString(priority)));
    }
    if (serverTimeout > 0) {
      all.put("timeout", serverTimeout);
    }
    all.putAll(custom);
    return all;
  }

  boolean wantsBinary() {
    return binary && outputs.isEmpty();
  }
}
