// Sends a message and receives it, by the types that openapi-typescript made of the document.
import createClient from "openapi-fetch";
import type { paths } from "./schema.d.ts";

const api = createClient<paths>({ baseUrl: process.argv[2] });
const sent = await api.POST("/v1/send", {
  params: { header: { "X-Mailbox": "alice" } },
  body: { to: "bob", body: "Hello from TypeScript" },
});
if (!sent.data) throw new Error(sent.error.error);

const received = await api.GET("/v1/watch", {
  params: { header: { "X-Mailbox": "bob" }, query: { name: "bob", timeout: 5, lease: 30 } },
});
if (!received.data) throw new Error(received.error?.error ?? "nothing came");
const { id, from, body, lease } = received.data;
if (!lease) throw new Error("a lease was asked for");

const acked = await api.POST("/v1/ack", {
  params: { header: { "X-Mailbox": "bob" } },
  body: { leases: [lease] },
});
const state = await api.GET("/v1/message", {
  params: { header: { "X-Mailbox": "alice" }, query: { id: sent.data.id } },
});
console.log(JSON.stringify({ id, from, body, done: acked.data?.done.length, state: state.data?.state }));
