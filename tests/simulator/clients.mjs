// Two clients that others wrote for Meta, driven through everything they know, against a running simulator.
// Only the base URL is ours. Prints one JSON line per attempt: {client, name, error?}.
import { createServer } from "node:http";
import { WhatsAppClient, buildTemplateSendPayload } from "@kapso/whatsapp-cloud-api";
import { normalizeWebhook, verifySignature } from "@kapso/whatsapp-cloud-api/server";
import { WhatsAppAPI } from "whatsapp-api-js";
import * as m from "whatsapp-api-js/messages";

const graph = process.env.GRAPH_API_URL;
const TO = "15550100001";
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
  "base64",
);

const deliveries = [];
const receiver = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    deliveries.push({ raw: Buffer.concat(chunks).toString(), signature: request.headers["x-hub-signature-256"] });
    response.end();
  });
});
await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));

const control = async (path, body, method = "POST") => {
  const answer = await fetch(`${graph}/_simulator${path}`, { method, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
};

const business = await control("/businesses", {
  name: "Panadería",
  callback_url: `http://127.0.0.1:${receiver.address().port}/`,
  subscribed: true,
});
const { phone_number_id: phoneNumberId, waba_id: businessAccountId, access_token: accessToken } = business;
const write = async (content) =>
  (await control("/customers/messages", {
    phone_number_id: phoneNumberId,
    from: { phone_number: TO, name: "Ana" },
    ...content,
  })).message.id;
const incoming = await write({ text: { body: "¿Tienen pan? 50% <b> a/b @casa" } });
const unverified = await control("/numbers", {
  waba_id: businessAccountId,
  code_verification_status: "NOT_VERIFIED",
  registered: false,
});

const attempt = async (client, name, action) => {
  try {
    await action();
    console.log(JSON.stringify({ client, name }));
  } catch (error) {
    console.log(JSON.stringify({ client, name, error: String(error.message || error) }));
  }
};
const expect = (condition, what) => {
  if (!condition) throw new Error(`Expected ${what}.`);
};
const isSent = (answer) => expect(answer.messages[0].id.startsWith("wamid."), "a wamid");

// @kapso/whatsapp-cloud-api

const kapso = new WhatsAppClient({ accessToken, baseUrl: graph, graphVersion: "v26.0" });
const to = { phoneNumberId, to: TO };
const body = { bodyText: "¿?" };
const sends = {
  text: () => kapso.messages.sendText({ ...to, body: "hola" }),
  image: () => kapso.messages.sendImage({ ...to, image: { link: "https://shop.test/a.png", caption: "x" } }),
  audio: () => kapso.messages.sendAudio({ ...to, audio: { link: "https://shop.test/a.mp3" } }),
  document: () =>
    kapso.messages.sendDocument({ ...to, document: { link: "https://shop.test/a.pdf", filename: "a.pdf" } }),
  video: () => kapso.messages.sendVideo({ ...to, video: { link: "https://shop.test/a.mp4" } }),
  sticker: () => kapso.messages.sendSticker({ ...to, sticker: { link: "https://shop.test/a.webp" } }),
  location: () => kapso.messages.sendLocation({ ...to, location: { latitude: -12.05, longitude: -77.04 } }),
  contacts: () =>
    kapso.messages.sendContacts({ ...to, contacts: [{ name: { formattedName: "Ana", firstName: "Ana" } }] }),
  reaction: () => kapso.messages.sendReaction({ ...to, reaction: { messageId: incoming, emoji: "👍" } }),
  buttons: () => kapso.messages.sendInteractiveButtons({ ...to, ...body, buttons: [{ id: "si", title: "Sí" }] }),
  list: () =>
    kapso.messages.sendInteractiveList({
      ...to,
      ...body,
      buttonText: "Ver",
      sections: [{ title: "S", rows: [{ id: "r", title: "t" }] }],
    }),
  "cta url": () =>
    kapso.messages.sendInteractiveCtaUrl({
      ...to,
      ...body,
      parameters: { displayText: "Ver", url: "https://shop.test" },
    }),
  "location request": () =>
    kapso.messages.sendInteractiveLocationRequest({ ...to, ...body, parameters: { requestMessage: "x" } }),
  flow: () =>
    kapso.messages.sendInteractiveFlow({
      ...to,
      ...body,
      parameters: { flowId: "1", flowCta: "Abrir", flowMessageVersion: "3" },
    }),
  catalog: () => kapso.messages.sendInteractiveCatalogMessage({ ...to, ...body }),
  product: () =>
    kapso.messages.sendInteractiveProduct({ ...to, ...body, catalogId: "1", productRetailerId: "sku" }),
  template: () =>
    kapso.messages.sendTemplate({
      ...to,
      template: buildTemplateSendPayload({ name: "hello_world", language: "en_US" }),
    }),
};
for (const [name, send] of Object.entries(sends)) await attempt("kapso", `send ${name}`, async () => isSent(await send()));

await attempt("kapso", "read and type", async () => {
  const answer = await kapso.messages.markRead({
    phoneNumberId,
    messageId: incoming,
    typingIndicator: { type: "text" },
  });
  expect(answer.success, "success");
});
await attempt("kapso", "media", async () => {
  const { id } = await kapso.media.upload({ phoneNumberId, type: "image/png", file: PNG, fileName: "a.png" });
  const described = await kapso.media.get({ mediaId: id, phoneNumberId });
  expect((described.mimeType ?? described.mime_type) === "image/png", `the type, not ${JSON.stringify(described)}`);
  const loaded = await kapso.media.download({ mediaId: id, phoneNumberId, auth: "always" });
  expect(Buffer.from(loaded).equals(PNG), "the same bytes");
  expect((await kapso.media.delete({ mediaId: id, phoneNumberId })).success, "success");
});
await attempt("kapso", "templates", async () => {
  const made = await kapso.templates.create({
    businessAccountId,
    name: "kapso",
    language: "es",
    category: "UTILITY",
    components: [{ type: "BODY", text: "Hola" }],
  });
  expect(made.status === "PENDING", "PENDING");
  const listed = await kapso.templates.list({ businessAccountId, limit: 1 });
  expect(listed.data.length === 1 && listed.paging.cursors.after, "a page");
  expect((await kapso.templates.delete({ businessAccountId, name: "kapso" })).success, "success");
});
await attempt("kapso", "profile", async () => {
  await kapso.phoneNumbers.businessProfile.update({ phoneNumberId, about: "Pan", vertical: "RETAIL" });
  const { data } = await kapso.phoneNumbers.businessProfile.get({ phoneNumberId, fields: "about,vertical" });
  expect(data[0].about === "Pan", "the profile");
});
await attempt("kapso", "number", async () => {
  const number = { phoneNumberId: unverified.id };
  await kapso.phoneNumbers.requestCode({ ...number, codeMethod: "SMS", language: "es_ES" });
  const { data } = await control(`/codes?phone_number=${unverified.phone_number}`, undefined, "GET");
  await kapso.phoneNumbers.verifyCode({ ...number, code: data[0].code });
  await kapso.phoneNumbers.register({ ...number, pin: "123456" });
  await kapso.phoneNumbers.settings.get(number);
  expect((await kapso.phoneNumbers.deregister(number)).success, "success");
});
await attempt("kapso", "error", async () => {
  const error = await kapso.messages.sendText({ ...to, to: business.phone_number, body: "x" }).catch((e) => e);
  expect(error.code === 131021 && error.fbtraceId, `131021 with a trace, not ${JSON.stringify(error)}`);
});

// whatsapp-api-js

const other = new WhatsAppAPI({
  token: accessToken,
  appSecret: business.app_secret,
  webhookVerifyToken: "v",
  v: "v26.0",
  ponyfill: {
    fetch: (url, options) => fetch(String(url).replace("https://graph.facebook.com", graph), options),
    subtle: crypto.subtle,
  },
});
const messages = {
  text: () => new m.Text("hola"),
  image: () => new m.Image("https://shop.test/a.png", false, "x"),
  audio: () => new m.Audio("https://shop.test/a.mp3"),
  document: () => new m.Document("https://shop.test/a.pdf", false, "x", "a.pdf"),
  video: () => new m.Video("https://shop.test/a.mp4"),
  sticker: () => new m.Sticker("https://shop.test/a.webp"),
  location: () => new m.Location(-77.04, -12.05, "Lima"),
  contacts: () => new m.Contacts([new m.Name("Ana", "Ana"), new m.Phone("+15550100009")]),
  reaction: () => new m.Reaction(incoming, "👍"),
  buttons: () => new m.Interactive(new m.ActionButtons(new m.Button("si", "Sí")), new m.Body("¿?")),
  list: () =>
    new m.Interactive(
      new m.ActionList("Ver", new m.ListSection("S", new m.Row("r", "t", "d"))),
      new m.Body("¿?"),
      new m.Header("h"),
      new m.Footer("f"),
    ),
  "cta url": () => new m.Interactive(new m.ActionCTA("Ver", "https://shop.test"), new m.Body("¿?")),
  "location request": () => new m.Interactive(new m.ActionLocation(), new m.Body("¿?")),
  flow: () => new m.Interactive(new m.ActionNavigateFlow("token", "1", "Abrir", "S"), new m.Body("¿?")),
  product: () => new m.Interactive(new m.ActionProduct(new m.CatalogProduct("sku", "1")), new m.Body("¿?")),
  "contact request": () => new m.Interactive(new m.ActionContactRequest(), new m.Body("¿?")),
  template: () => new m.Template("hello_world", "en_US"),
};
for (const [name, message] of Object.entries(messages))
  await attempt("whatsapp-api-js", `send ${name}`, async () => {
    const answer = await other.sendMessage(phoneNumberId, TO, message(), undefined, "row-1");
    if (answer.error) throw new Error(JSON.stringify(answer.error));
    isSent(answer);
  });
await attempt("whatsapp-api-js", "read and type", async () => {
  expect((await other.markAsRead(phoneNumberId, incoming, "text")).success, "success");
});
await attempt("whatsapp-api-js", "media", async () => {
  const form = new FormData();
  form.set("file", new Blob([PNG], { type: "image/png" }), "a.png");
  form.set("messaging_product", "whatsapp");
  form.set("type", "image/png");
  const { id } = await other.uploadMedia(phoneNumberId, form);
  const { url } = await other.retrieveMedia(id, phoneNumberId);
  const loaded = await other.fetchMedia(url);
  expect(Buffer.from(await loaded.arrayBuffer()).equals(PNG), "the same bytes");
  expect((await other.deleteMedia(id, phoneNumberId)).success, "success");
});
await attempt("whatsapp-api-js", "qr codes", async () => {
  const { code } = await other.createQR(phoneNumberId, "hola");
  expect((await other.retrieveQR(phoneNumberId, code)).data[0].code === code, "the code");
  expect((await other.updateQR(phoneNumberId, code, "adiós")).prefilled_message === "adiós", "the new text");
  expect((await other.deleteQR(phoneNumberId, code)).success, "success");
});
await attempt("whatsapp-api-js", "block and unblock", async () => {
  expect((await other.blockUser(phoneNumberId, TO)).block_users.added_users.length === 1, "a blocked user");
  expect((await other.unblockUser(phoneNumberId, TO)).block_users.removed_users.length === 1, "a free user");
});
await attempt("whatsapp-api-js", "handshake", async () => {
  const challenge = other.get({ "hub.mode": "subscribe", "hub.verify_token": "v", "hub.challenge": "42" });
  expect(challenge === "42", "the challenge");
});

// What was delivered

const received = [
  { text: { body: "hola" } },
  { type: "image", image: { caption: "mira" } },
  { type: "audio" },
  { type: "document", document: { filename: "a.pdf" } },
  { type: "video" },
  { type: "sticker" },
  { type: "location", location: { latitude: -12.05, longitude: -77.04 } },
  { type: "contacts", contacts: [{ name: { formatted_name: "Ana" } }] },
  { type: "reaction", reaction: { message_id: incoming, emoji: "👍" } },
  { type: "interactive", interactive: { type: "button_reply", button_reply: { id: "si", title: "Sí" } } },
  { type: "button", button: { payload: "P", text: "T" } },
  { type: "unsupported" },
];
const ids = [];
for (const content of received) ids.push(await write(content));
await control("/customers/messages", {
  from: { phone_number: "15550100007", username: "luis", hidden: true },
  phone_number_id: phoneNumberId,
  text: { body: "sin número" },
});
await control("/settle", { within: 10 });

await attempt("kapso", "every delivery is signed and read", async () => {
  const seen = { messages: [], statuses: [] };
  for (const { raw, signature } of deliveries) {
    expect(verifySignature({ appSecret: business.app_secret, rawBody: raw, signatureHeader: signature }), raw);
    const read = normalizeWebhook(JSON.parse(raw));
    seen.messages.push(...read.messages.map((message) => message.id));
    seen.statuses.push(...read.statuses.map((status) => status.status));
  }
  expect(ids.every((id) => seen.messages.includes(id)), "every message");
  expect(seen.statuses.includes("sent") && seen.statuses.includes("delivered"), "statuses");
});
await attempt("whatsapp-api-js", "every delivery is signed and read", async () => {
  const seen = [];
  other.on.message = ({ message }) => seen.push(message.id);
  other.on.status = ({ status, biz_opaque_callback_data: data }) => data === "row-1" && seen.push(status);
  for (const { raw, signature } of deliveries) await other.post(JSON.parse(raw), raw, signature);
  expect(ids.every((id) => seen.includes(id)), "every message");
  expect(seen.includes("delivered"), "a status with our own id");
});
receiver.close();
