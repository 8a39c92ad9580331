package triton.client.examples;

import java.io.File;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import triton.client.Classification;
import triton.client.Client;
import triton.client.InferInput;
import triton.client.InferRequest;
import triton.client.InferRequestedOutput;
import triton.client.InferResult;
import triton.client.InferenceException;

/** Classifies image files, with the flags and the output of image_client. */
public final class ImageClient {
  private static final int IN_FLIGHT = 20;

  private final ImageOptions options;
  private final Client client;
  private final ImageModel model;
  private final List<File> files;

  private ImageClient(ImageOptions options, Client client) throws Exception {
    this.options = options;
    this.client = client;
    this.files = Images.find(options.path);
    this.model =
        new ImageModel(
            client.modelMetadata(options.model, options.version).execute(),
            client.modelConfig(options.model, options.version).execute());
    if (model.maxBatchSize == 0 && options.batchSize > 1) {
      throw new IllegalArgumentException("model '" + options.model + "' does not support batching");
    }
    if (model.maxBatchSize > 0 && options.batchSize > model.maxBatchSize) {
      throw new IllegalArgumentException(
          "model '"
              + options.model
              + "' takes at most "
              + model.maxBatchSize
              + " images in a batch, not "
              + options.batchSize
              + " (-b)");
    }
    if (options.verbose) {
      System.err.println(
          "image_client: " + files.size() + " images become " + model.width + "x" + model.height);
    }
  }

  public static void main(String[] args) {
    ImageOptions options;
    try {
      options = ImageOptions.parse(args);
    } catch (IllegalArgumentException e) {
      System.err.println(ImageOptions.USAGE);
      System.err.println("image_client: error: " + e.getMessage());
      System.exit(2);
      return;
    }
    String url = options.url.contains("://") ? options.url : "http://" + options.url;
    try (Client client = Client.of(url)) {
      new ImageClient(options, client).run();
      System.out.println("PASS");
    } catch (Exception e) {
      System.out.flush();
      if (options.verbose) {
        e.printStackTrace();
      }
      System.err.println("image_client: error: " + e.getMessage());
      System.exit(1);
    }
  }

  private void run() throws Exception {
    ArrayDeque<CompletableFuture<InferResult>> underWay = new ArrayDeque<>();
    int shown = 0;
    int count = (files.size() + options.batchSize - 1) / options.batchSize;
    for (int number = 0; number < count; number++) {
      if (!options.async) {
        show(number, client.infer(request(number)).execute());
        continue;
      }
      if (underWay.size() == IN_FLIGHT) {
        show(shown++, result(underWay.remove()));
      }
      underWay.add(client.infer(request(number)).executeAsync());
    }
    while (!underWay.isEmpty()) {
      show(shown++, result(underWay.remove()));
    }
  }

  private static InferResult result(CompletableFuture<InferResult> future) throws Exception {
    try {
      return future.get();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception ? (Exception) e.getCause() : e;
    }
  }

  /** The images of a request; the last one is filled up with the first images. */
  private List<File> batch(int number) {
    List<File> batch = new ArrayList<>();
    for (int i = 0; i < options.batchSize; i++) {
      batch.add(files.get((number * options.batchSize + i) % files.size()));
    }
    return batch;
  }

  private InferRequest request(int number) throws IOException {
    List<File> batch = batch(number);
    int size = model.channels * model.height * model.width;
    float[] values = new float[batch.size() * size];
    for (int i = 0; i < batch.size(); i++) {
      float[] image =
          Images.read(
              batch.get(i),
              model.height,
              model.width,
              model.channels,
              model.channelsFirst,
              options.scaling);
      System.arraycopy(image, 0, values, i * size, size);
    }
    return InferRequest.of(options.model)
        .version(options.version)
        .id(Integer.toString(number))
        .input(input(values, model.shape(batch.size())))
        .output(new InferRequestedOutput(model.output, true, options.classes));
  }

  private InferInput input(float[] values, long[] shape) {
    InferInput input = new InferInput(model.input, shape, model.datatype);
    int count = values.length;
    switch (model.datatype) {
      case INT8:
      case UINT8:
        byte[] bytes = new byte[count];
        for (int i = 0; i < count; i++) {
          bytes[i] = (byte) (int) values[i];
        }
        input.setData(bytes, true);
        break;
      case INT16:
      case UINT16:
        short[] shorts = new short[count];
        for (int i = 0; i < count; i++) {
          shorts[i] = (short) values[i];
        }
        input.setData(shorts, true);
        break;
      case INT32:
      case UINT32:
        int[] ints = new int[count];
        for (int i = 0; i < count; i++) {
          ints[i] = (int) values[i];
        }
        input.setData(ints, true);
        break;
      case INT64:
      case UINT64:
        long[] longs = new long[count];
        for (int i = 0; i < count; i++) {
          longs[i] = (long) values[i];
        }
        input.setData(longs, true);
        break;
      case FP64:
        double[] doubles = new double[count];
        for (int i = 0; i < count; i++) {
          doubles[i] = values[i];
        }
        input.setData(doubles, true);
        break;
      default:
        input.setData(values, true);
    }
    return input;
  }

  private void show(int number, InferResult result) throws InferenceException {
    List<File> batch = batch(number);
    List<Classification> classes = result.getClasses(model.output);
    if (classes == null || classes.isEmpty() || classes.size() % batch.size() != 0) {
      throw new InferenceException(
          "expected classes of " + batch.size() + " images, got " + classes);
    }
    System.out.println("Request " + number + ", batch size " + batch.size());
    int each = classes.size() / batch.size();
    for (int i = 0; i < batch.size(); i++) {
      System.out.println("Image '" + batch.get(i) + "':");
      for (Classification best : classes.subList(i * each, (i + 1) * each)) {
        System.out.println("    " + best);
      }
    }
  }
}
