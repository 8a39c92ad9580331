/**
 * A client of the v2 inference protocol over gRPC, with the same tensors, requests and answers as
 * {@link triton.client.Client}.
 */
package triton.client.grpc;
