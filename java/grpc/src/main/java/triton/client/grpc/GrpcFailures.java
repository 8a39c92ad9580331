package triton.client.grpc;

import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import java.net.ConnectException;
import triton.client.InferenceCancelledException;
import triton.client.InferenceConnectionException;
import triton.client.InferenceException;
import triton.client.InferenceProtocolException;
import triton.client.InferenceTimeoutException;

/** What gRPC's statuses mean to a caller. */
final class GrpcFailures {
  private GrpcFailures() {}

  static InferenceException of(Throwable error, String url, String model, String id) {
    if (error instanceof InferenceException) {
      return (InferenceException) error;
    }
    Status status = Status.fromThrowable(error);
    String text =
        status.getDescription() == null ? status.getCode().name() : status.getDescription();
    boolean told = error instanceof StatusRuntimeException || error instanceof StatusException;
    if (!told) {
      return new InferenceProtocolException(
          "the answer can't be read: " + error.getMessage(), 0, url, model, id, error);
    }
    switch (status.getCode()) {
      case DEADLINE_EXCEEDED:
        return new InferenceTimeoutException(text, 504, url, model, id, error);
      case CANCELLED:
        return new InferenceCancelledException(text, 499, url, model, id, error);
      case UNAVAILABLE:
        boolean local = status.getCause() != null || isOurs(text);
        if (local) {
          return new InferenceConnectionException(
              text + cause(status.getCause()) + " (" + url + ")", 0, url, model, id, error);
        }
        break;
      default:
    }
    return new InferenceException(text, httpStatus(status.getCode()), url, model, id, error);
  }

  /** What grpc-java says itself when a connection is lost or can't be made. */
  private static boolean isOurs(String text) {
    return text.equals("io exception") || text.startsWith("Network closed") || text.isEmpty();
  }

  private static String cause(Throwable cause) {
    if (cause == null) {
      return "";
    }
    return (cause instanceof ConnectException ? ": cannot connect: " : ": ") + cause.getMessage();
  }

  /** The HTTP status that stands for the same; see google.rpc.Code. */
  private static int httpStatus(Status.Code code) {
    switch (code) {
      case INVALID_ARGUMENT:
      case FAILED_PRECONDITION:
      case OUT_OF_RANGE:
        return 400;
      case UNAUTHENTICATED:
        return 401;
      case PERMISSION_DENIED:
        return 403;
      case NOT_FOUND:
        return 404;
      case ALREADY_EXISTS:
      case ABORTED:
        return 409;
      case RESOURCE_EXHAUSTED:
        return 429;
      case UNIMPLEMENTED:
        return 501;
      case UNAVAILABLE:
        return 503;
      default:
        return 500;
    }
  }
}
