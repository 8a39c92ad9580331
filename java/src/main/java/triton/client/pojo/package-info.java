/** Datatypes, and the JSON of the protocol as beans, for programs that use the classic client. */
package triton.client.pojo;
