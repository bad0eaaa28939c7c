// Drives a host with the official TypeScript SDK: node client.mjs URL, with the calls on standard input as JSON. It answers
// what came of each on standard output. The SDK itself checks structured content against the schemas that the host declares.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

let text = '';
for await (const chunk of process.stdin) text += chunk;
const client = new Client({ name: 'interop', version: '1' });
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
await client.ping();
const { tools } = await client.listTools();
const results = [];
for (const { name, arguments: args } of JSON.parse(text)) {
  results.push(await client.callTool({ name, arguments: args }));
}
const prompt = await client.getPrompt({ name: 'author_scenario', arguments: { goal: 'ship on Fridays only' } });
const { resources } = await client.listResources();
const documents = [];
for (const { uri } of resources) documents.push((await client.readResource({ uri })).contents[0].uri);
let refused = '';
await client.callTool({ name: 'no_such_tool' }).catch((error) => { refused = error.message; });
console.log(JSON.stringify({ server: client.getServerVersion(), tools: tools.map((tool) => tool.name), results, prompt: prompt.messages[0].content.text, documents, refused }));
await client.close();
