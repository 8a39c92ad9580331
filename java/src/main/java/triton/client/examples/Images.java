package triton.client.examples;

import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.imageio.ImageIO;

/** Image files as pixels for a model. */
final class Images {
  /** The mean colour that VGG networks were trained around, and mid grey. */
  private static final float[] VGG_RGB = {123, 117, 104};

  private static final float[] VGG_GREY = {128};

  private Images() {}

  /** Returns the image files that a path names: the file itself, or those in a folder, sorted. */
  static List<File> find(String path) throws IOException {
    File named = new File(path);
    if (!named.exists()) {
      throw new IOException("there is no file or folder '" + path + "'");
    }
    if (!named.isDirectory()) {
      return List.of(named);
    }
    File[] files = named.listFiles(File::isFile);
    if (files == null) {
      throw new IOException("the folder '" + path + "' can't be read");
    }
    Arrays.sort(files);
    List<File> images = new ArrayList<>();
    for (File file : files) {
      if (hasImageSuffix(file.getName())) {
        images.add(file);
      } else {
        System.err.println("image_client: skipped '" + file + "': no image");
      }
    }
    if (images.isEmpty()) {
      throw new IOException("there are no images in the folder '" + path + "'");
    }
    return images;
  }

  private static boolean hasImageSuffix(String name) {
    String suffix = name.substring(name.lastIndexOf('.') + 1);
    return ImageIO.getImageReadersBySuffix(suffix).hasNext();
  }

  /**
   * Returns one image as floats from 0 to 255 that are then scaled: [channels, height, width], or
   * with the channels last.
   */
  static float[] read(
      File file, int height, int width, int channels, boolean channelsFirst, String scaling)
      throws IOException {
    BufferedImage image;
    try {
      image = ImageIO.read(file);
    } catch (IOException | RuntimeException e) { // damaged files make decoders throw all sorts
      throw new IOException("image '" + file + "' can't be read: " + e.getMessage(), e);
    }
    if (image == null) {
      throw new IOException("'" + file + "' is not an image, or of a kind that Java can't read");
    }
    float[] values = new float[channels * height * width];
    float[][][] planes = planes(image, channels);
    for (int channel = 0; channel < channels; channel++) {
      float[][] plane = resize(planes[channel], height, width);
      for (int row = 0; row < height; row++) {
        for (int column = 0; column < width; column++) {
          int at =
              channelsFirst
                  ? (channel * height + row) * width + column
                  : (row * width + column) * channels + channel;
          values[at] = scale(plane[row][column], scaling, channel, channels);
        }
      }
    }
    return values;
  }

  private static float scale(float value, String scaling, int channel, int channels) {
    switch (scaling) {
      case "INCEPTION":
        return value / 127.5f - 1;
      case "VGG":
        return value - (channels == 1 ? VGG_GREY : VGG_RGB)[channel];
      default:
        return value;
    }
  }

  /** Red, green and blue, or grey. Transparency is ignored. */
  private static float[][][] planes(BufferedImage image, int channels) {
    int height = image.getHeight();
    int width = image.getWidth();
    float[][][] planes = new float[channels][height][width];
    Raster raster = image.getRaster();
    // Java would take the samples of grey images for linear ones, and brighten them.
    boolean grey = raster.getNumBands() <= 2 && !(image.getColorModel() instanceof IndexColorModel);
    int largest = grey ? (1 << image.getColorModel().getComponentSize(0)) - 1 : 255;
    for (int row = 0; row < height; row++) {
      for (int column = 0; column < width; column++) {
        if (grey) {
          float value = Math.round(raster.getSample(column, row, 0) * 255f / largest);
          for (float[][] plane : planes) {
            plane[row][column] = value;
          }
        } else {
          int rgb = image.getRGB(column, row);
          int[] colours = {(rgb >> 16) & 255, (rgb >> 8) & 255, rgb & 255};
          if (channels == 1) {
            planes[0][row][column] = luma(colours);
          } else {
            for (int channel = 0; channel < 3; channel++) {
              planes[channel][row][column] = colours[channel];
            }
          }
        }
      }
    }
    return planes;
  }

  /** ITU-R 601-2, as most image libraries have it. */
  private static int luma(int[] colours) {
    return (colours[0] * 299 + colours[1] * 587 + colours[2] * 114) / 1000;
  }

  /** Resizes by a bilinear filter, which is as wide as a new pixel when the image shrinks. */
  private static float[][] resize(float[][] plane, int height, int width) {
    return transposed(resizeColumns(transposed(resizeColumns(plane, width)), height));
  }

  private static float[][] transposed(float[][] plane) {
    float[][] other = new float[plane[0].length][plane.length];
    for (int row = 0; row < plane.length; row++) {
      for (int column = 0; column < plane[0].length; column++) {
        other[column][row] = plane[row][column];
      }
    }
    return other;
  }

  private static float[][] resizeColumns(float[][] plane, int width) {
    int from = plane[0].length;
    if (from == width) {
      return plane;
    }
    double step = (double) from / width;
    double reach = Math.max(step, 1);
    float[][] resized = new float[plane.length][width];
    for (int column = 0; column < width; column++) {
      double centre = (column + 0.5) * step;
      int first = Math.max(0, (int) (centre - reach + 0.5));
      int last = Math.min(from, (int) (centre + reach + 0.5));
      double total = 0;
      double[] weights = new double[last - first];
      for (int i = 0; i < weights.length; i++) {
        weights[i] = Math.max(0, 1 - Math.abs((first + i - centre + 0.5) / reach));
        total += weights[i];
      }
      for (int row = 0; row < plane.length; row++) {
        double sum = 0;
        for (int i = 0; i < weights.length; i++) {
          sum += weights[i] * plane[row][first + i];
        }
        resized[row][column] = Math.round(sum / total);
      }
    }
    return resized;
  }
}
