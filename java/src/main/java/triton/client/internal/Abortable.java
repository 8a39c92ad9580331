package triton.client.internal;

import triton.client.InferenceException;

/** A call that is under way. */
interface Abortable {
  /** Ends the call for a reason, unless it has ended. */
  void abort(InferenceException reason);

  /** What was asked. */
  Call call();
}
