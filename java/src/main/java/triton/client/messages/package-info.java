/** What servers answer about themselves, their models and their memory. */
package triton.client.messages;
