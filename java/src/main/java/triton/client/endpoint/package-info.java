/** Where servers are. */
package triton.client.endpoint;
