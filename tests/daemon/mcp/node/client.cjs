// Drives a client of the TypeScript SDK: one JSON command a line in, one JSON answer a line out.
//
// node client.cjs <folder with node_modules> <sdk: 1 or 2> <mode> <url> <headers as JSON>
const { createRequire } = require("node:module");
const path = require("node:path");
const readline = require("node:readline");

const [, , folder, sdk, mode, url, headers] = process.argv;
const load = createRequire(path.join(folder, "package.json"));
const transportOptions = { requestInit: { headers: JSON.parse(headers) } };
const info = { name: "claude-mailbox-tests", version: "1" };

function create() {
  if (sdk === "1") {
    const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
    const http = load("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const transport = new http.StreamableHTTPClientTransport(new URL(url), transportOptions);
    const client = new Client(info);
    return {
      client,
      transport,
      call: (request, options) => client.callTool(request, undefined, options),
    };
  }
  const { Client, StreamableHTTPClientTransport } = load("@modelcontextprotocol/client");
  const transport = new StreamableHTTPClientTransport(new URL(url), transportOptions);
  const negotiation = ["legacy", "auto"].includes(mode) ? mode : { pin: mode };
  const client = new Client(info, { versionNegotiation: { mode: negotiation } });
  return { client, transport, call: (request, options) => client.callTool(request, options) };
}

const { client, transport, call } = create();
const aborts = new Map();

function answer(id, content) {
  process.stdout.write(JSON.stringify({ id, ...content }) + "\n");
}

async function obey({ id, verb, ...rest }) {
  if (verb === "connect") {
    await client.connect(transport);
    return { instructions: client.getInstructions() ?? null, sessionId: transport.sessionId ?? null };
  }
  if (verb === "list") return { tools: (await client.listTools()).tools };
  if (verb === "call") {
    const abort = new AbortController();
    aborts.set(id, abort);
    const options = { signal: abort.signal };
    if (rest.timeout !== undefined) options.timeout = rest.timeout;
    return { result: await call({ name: rest.name, arguments: rest.arguments }, options) };
  }
  if (verb === "abort") {
    aborts.get(rest.call).abort("The user pressed Esc.");
    return {};
  }
  if (verb === "close") {
    await client.close();
    return {};
  }
  throw new Error(`unknown verb ${verb}`);
}

client.onerror = () => {}; // late answers to calls that were given up are reported here

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  obey(command).then(
    (content) => answer(command.id, content),
    (error) => answer(command.id, { error: String(error) }),
  );
});
