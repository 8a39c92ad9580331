package triton.client.benchmarks;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Array;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.http.HttpResponse;
import org.apache.http.client.config.RequestConfig;
import org.apache.http.client.methods.HttpPost;
import org.apache.http.client.utils.URIBuilder;
import org.apache.http.impl.nio.client.CloseableHttpAsyncClient;
import org.apache.http.impl.nio.client.HttpAsyncClients;
import org.apache.http.impl.nio.conn.PoolingNHttpClientConnectionManager;
import org.apache.http.impl.nio.reactor.DefaultConnectingIOReactor;
import org.apache.http.impl.nio.reactor.IOReactorConfig;
import org.apache.http.nio.entity.NByteArrayEntity;
import org.apache.http.util.EntityUtils;

/**
 * A client of the classic library's shape, since its jar is in no registry: Apache's
 * httpasyncclient with ten I/O threads, databind for the JSON, the body joined in memory, and
 * answers read through boxed values and reflection.
 */
final class Baseline implements AutoCloseable {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private final CloseableHttpAsyncClient http;
  private final String url;

  /** A tensor as databind writes it. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public static final class Tensor {
    public String name;
    public long[] shape;
    public String datatype;
    public Map<String, Object> parameters;
    public Object[] data;
  }

  Baseline(String address, int timeoutMillis) throws IOException {
    url = "http://" + address;
    PoolingNHttpClientConnectionManager connections =
        new PoolingNHttpClientConnectionManager(
            new DefaultConnectingIOReactor(
                IOReactorConfig.custom().setIoThreadCount(10).setTcpNoDelay(true).build()));
    connections.setMaxTotal(1000);
    connections.setDefaultMaxPerRoute(1000);
    RequestConfig config =
        RequestConfig.custom()
            .setConnectTimeout(timeoutMillis)
            .setSocketTimeout(timeoutMillis)
            .build();
    http =
        HttpAsyncClients.custom()
            .setConnectionManager(connections)
            .setDefaultRequestConfig(config)
            .build();
    http.start();
  }

  static byte[] pack(int[] values) {
    ByteBuffer buffer = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    for (int value : values) {
      buffer.putInt(value);
    }
    return buffer.array();
  }

  int[] infer(String model, String input, long[] shape, byte[] packed) throws Exception {
    Tensor tensor = new Tensor();
    tensor.name = input;
    tensor.shape = shape;
    tensor.datatype = "INT32";
    tensor.parameters = new LinkedHashMap<>(Map.of("binary_data_size", packed.length));
    Map<String, Object> request = new LinkedHashMap<>();
    request.put("inputs", List.of(tensor));
    request.put("parameters", Map.of("binary_data_output", true));
    byte[] head = MAPPER.writeValueAsString(request).getBytes("UTF-8");
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    body.write(head);
    body.write(packed);

    URIBuilder uri = new URIBuilder(url);
    uri.setPath("/v2/models/" + model + "/infer");
    HttpPost post = new HttpPost(uri.build());
    post.setHeader("Inference-Header-Content-Length", String.valueOf(head.length));
    post.setEntity(new NByteArrayEntity(body.toByteArray()));
    HttpResponse response = http.execute(post, null).get(60, TimeUnit.SECONDS);
    return read(response);
  }

  private static int[] read(HttpResponse response) throws IOException {
    int length =
        Integer.parseInt(response.getFirstHeader("Inference-Header-Content-Length").getValue());
    byte[] head = new byte[length];
    byte[] data;
    try (InputStream in = response.getEntity().getContent()) {
      in.readNBytes(head, 0, length);
      data = in.readAllBytes();
    }
    EntityUtils.consume(response.getEntity());
    Map<?, ?> answer = MAPPER.readValue(new String(head, "UTF-8"), Map.class);
    List<int[]> tensors = new ArrayList<>();
    int position = 0;
    for (Object each : (List<?>) answer.get("outputs")) {
      Map<?, ?> parameters = (Map<?, ?>) ((Map<?, ?>) each).get("parameters");
      int size = (Integer) parameters.get("binary_data_size");
      ByteBuffer buffer = ByteBuffer.wrap(data, position, size).order(ByteOrder.LITTLE_ENDIAN);
      position += size;
      Object array = Array.newInstance(int.class, size / 4);
      for (int i = 0; i < size / 4; i++) {
        Object boxed = buffer.getInt();
        Array.set(array, i, boxed);
      }
      tensors.add((int[]) array);
    }
    return tensors.get(0);
  }

  @Override
  public void close() throws IOException {
    http.close();
  }
}
