package triton.client.internal;

import java.io.IOException;
import java.net.ConnectException;
import java.net.ProtocolException;
import java.net.UnknownHostException;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpTimeoutException;
import java.nio.channels.UnresolvedAddressException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import javax.net.ssl.SSLException;
import triton.client.InferenceCancelledException;
import triton.client.InferenceConnectionException;
import triton.client.InferenceException;
import triton.client.InferenceProtocolException;
import triton.client.InferenceTimeoutException;

/** What the JDK's errors mean to a caller. */
final class Failures {
  private Failures() {}

  /** The error that others are wrapped around. */
  static Throwable unwrap(Throwable error) {
    Throwable inner = error;
    while ((inner instanceof CompletionException || inner instanceof ExecutionException)
        && inner.getCause() != null) {
      inner = inner.getCause();
    }
    return inner;
  }

  /** Whether the connection ended, rather than something else having gone wrong on it. */
  static boolean lostConnection(Throwable error) {
    return error instanceof IOException
        && !(error instanceof HttpTimeoutException)
        && !(error instanceof ProtocolException)
        && !(error instanceof TooLargeException)
        && !(error instanceof SSLException);
  }

  static InferenceException timeout(Call call, String url) {
    return new InferenceTimeoutException(
        "no complete answer within " + call.timeout.toMillis() + " ms" + where(call, url),
        0,
        url,
        call.model,
        call.requestId,
        null);
  }

  static InferenceException noEndpoint(Exception error, Call call) {
    return new InferenceConnectionException(
        "no endpoint could be had: " + text(error), 0, "", call.model, call.requestId, error);
  }

  static InferenceException of(Throwable error, Call call, String url, String where) {
    if (error instanceof InferenceException) {
      return (InferenceException) error;
    }
    String model = call.model;
    String id = call.requestId;
    if (error instanceof ConnectException || error instanceof HttpConnectTimeoutException) {
      return new InferenceConnectionException(
          "cannot connect: " + text(error) + where, 0, url, model, id, error);
    }
    if (error instanceof HttpTimeoutException) {
      return timeout(call, url);
    }
    if (error instanceof CancellationException) {
      return new InferenceCancelledException(
          "the call was cancelled" + where, 0, url, model, id, error);
    }
    if (error instanceof SSLException) {
      return new InferenceConnectionException(
          "TLS failed: " + text(error) + where, 0, url, model, id, error);
    }
    if (lostConnection(error)) {
      return new InferenceConnectionException(
          "the connection was lost: " + text(error) + where, 0, url, model, id, error);
    }
    // What remains are answers that the JDK can't read, in whatever way it says so.
    return new InferenceProtocolException(
        "the answer can't be read: " + text(error) + where, 0, url, model, id, error);
  }

  /** What a call was, for messages in our own words. */
  static String where(Call call, String url) {
    StringBuilder text = new StringBuilder(" (").append(call.method);
    text.append(' ').append(url).append(call.path);
    if (!call.requestId.isEmpty()) {
      text.append(", request id ").append(call.requestId);
    }
    return text.append(')').toString();
  }

  /** The text of an error, or of what led to it: the JDK often leaves it out. */
  static String text(Throwable error) {
    for (Throwable at = error; at != null; at = at.getCause()) {
      if (at instanceof UnresolvedAddressException || at instanceof UnknownHostException) {
        return "the host's name is unknown";
      }
    }
    for (Throwable at = error; at != null; at = at.getCause()) {
      if (at.getMessage() != null && !at.getMessage().isEmpty()) {
        return at.getMessage();
      }
    }
    return error instanceof ConnectException
        ? "nobody listens there, or the connection was refused"
        : error.getClass().getSimpleName();
  }
}
