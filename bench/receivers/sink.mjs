// One insert a message, and a server that answers as its handler says.

import { createServer } from "node:http";
import process from "node:process";

const headers = {
  apikey: process.env.SINK_KEY,
  authorization: `Bearer ${process.env.SINK_KEY}`,
  "content-type": "application/json",
};

export const secret = process.env.WHATSAPP_APP_SECRET;

export async function insert(message) {
  const { id: wamid, from: sender, type, text } = message;
  const body = JSON.stringify({ wamid, sender, type, text: text?.body ?? null, content: message });
  const answer = await fetch(process.env.SINK_URL, { method: "POST", headers, body });
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`The sink answered ${answer.status}`);
}

export function serve(answer) {
  const server = createServer(async (request, response) => {
    try {
      response.statusCode = await answer(request);
    } catch (error) {
      console.error(error);
      response.statusCode = 500;
    }
    response.end("ok");
  });
  server.keepAliveTimeout = 75_000;
  server.listen(Number(process.argv[2]), "127.0.0.1");
}

export async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}
