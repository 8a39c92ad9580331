/**
 * Clients of the v2 inference protocol: {@link triton.client.Client}, and {@link
 * triton.client.InferenceServerClient} for programs that were written for the classic library.
 */
package triton.client;
