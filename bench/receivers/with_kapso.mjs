// @kapso/whatsapp-cloud-api, as its documentation tells: verify, normalize, and do something with each message.

import { normalizeWebhook, verifySignature } from "@kapso/whatsapp-cloud-api/server";

import { insert, read, secret, serve } from "./sink.mjs";

serve(async (request) => {
  const rawBody = await read(request);
  const signatureHeader = request.headers["x-hub-signature-256"];
  if (!verifySignature({ appSecret: secret, rawBody, signatureHeader })) return 401;
  const events = normalizeWebhook(JSON.parse(rawBody.toString("utf8")));
  for (const message of events.messages) await insert(message);
  return 200;
});
