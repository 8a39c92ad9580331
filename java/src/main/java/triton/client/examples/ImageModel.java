package triton.client.examples;

import java.util.List;
import java.util.Map;
import triton.client.messages.ModelMetadata;
import triton.client.messages.TensorMetadata;
import triton.client.pojo.DataType;

/** A model that takes images and answers a score for each class. */
final class ImageModel {
  final String input;
  final String output;
  final DataType datatype;
  final int maxBatchSize;
  final boolean channelsFirst;
  final int height;
  final int width;
  final int channels;

  /**
   * Reads metadata and configuration.
   *
   * @throws IllegalArgumentException they describe some other kind of model
   */
  ImageModel(ModelMetadata metadata, Map<String, Object> config) {
    if (metadata.inputs().size() != 1 || metadata.outputs().size() != 1) {
      throw new IllegalArgumentException(
          "the model has "
              + metadata.inputs().size()
              + " inputs and "
              + metadata.outputs().size()
              + " outputs, not 1 and 1, so it is no image classifier");
    }
    TensorMetadata image = metadata.inputs().get(0);
    input = image.name();
    output = metadata.outputs().get(0).name();
    datatype = DataType.valueOf(image.datatype());
    if (datatype == DataType.BYTES || datatype == DataType.BOOL) {
      throw new IllegalArgumentException("the model's input is " + datatype + ", not pixels");
    }
    Object batch = config.get("max_batch_size");
    maxBatchSize = batch instanceof Number ? ((Number) batch).intValue() : 0;
    long[] shape = image.shape();
    int first = maxBatchSize > 0 ? 1 : 0;
    if (shape.length - first != 3) {
      throw new IllegalArgumentException(
          "the model's input has " + (shape.length - first) + " dimensions, not 3, for an image");
    }
    String format = format(config);
    if (!format.equals("FORMAT_NCHW") && !format.equals("FORMAT_NHWC")) {
      throw new IllegalArgumentException(
          "the model's configuration gives its input the format "
              + format
              + ", not FORMAT_NCHW or FORMAT_NHWC");
    }
    channelsFirst = format.equals("FORMAT_NCHW");
    channels = (int) shape[channelsFirst ? first : first + 2];
    height = (int) shape[channelsFirst ? first + 1 : first];
    width = (int) shape[channelsFirst ? first + 2 : first + 1];
    if (height < 1 || width < 1 || (channels != 1 && channels != 3)) {
      throw new IllegalArgumentException(
          "the model takes images of " + channels + " channels, " + height + " x " + width);
    }
  }

  private static String format(Map<String, Object> config) {
    Object inputs = config.get("input");
    if (inputs instanceof List && !((List<?>) inputs).isEmpty()) {
      Object first = ((List<?>) inputs).get(0);
      if (first instanceof Map && ((Map<?, ?>) first).get("format") != null) {
        return ((Map<?, ?>) first).get("format").toString();
      }
    }
    return "FORMAT_NONE";
  }

  /** The shape of the input for that many images. */
  long[] shape(int images) {
    long[] one =
        channelsFirst ? new long[] {channels, height, width} : new long[] {height, width, channels};
    if (maxBatchSize == 0) {
      return one;
    }
    return new long[] {images, one[0], one[1], one[2]};
  }
}
