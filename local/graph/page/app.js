// The page of the simulator: a customer's phone beside a live log. It uses the control API and nothing else.

const TEXTS = {
  es: {
    title: "Simulador de Graph", phone: "Teléfono del cliente", customer: "Cliente", name: "Nombre", number: "Escribe a",
    hidden: "ocultar su número", create: "Crear un negocio", attach: "Adjuntar archivo", message: "Mensaje", send: "Enviar",
    log: "En vivo", fault: "Fallo siguiente", noFault: "sin fallos", pause: "Pausa", clear: "Limpiar", read: "marcar leído",
    reply: "responder", connected: "conectado", lost: "sin conexión", empty: "Aún no hay negocios: crea uno.", options: "Ver opciones",
    replying: "Respuesta a: ", other: "English", code: "código enviado", outage: "caída (503)", lostAnswer: "respuesta perdida",
    slow: "lento (3 s)", failed: "falló",
  },
  en: {
    title: "Graph simulator", phone: "The customer's phone", customer: "Customer", name: "Name", number: "Writes to",
    hidden: "hide the number", create: "Create a business", attach: "Attach a file", message: "Message", send: "Send",
    log: "Live", fault: "Next fault", noFault: "no fault", pause: "Pause", clear: "Clear", read: "mark as read",
    reply: "reply", connected: "connected", lost: "not connected", empty: "There is no business yet: create one.", options: "See options",
    replying: "Reply to: ", other: "Español", code: "code sent", outage: "outage (503)", lostAnswer: "lost answer",
    slow: "slow (3 s)", failed: "failed",
  },
};
const FAULTS = {
  "131056": { edge: "messages", code: 131056, times: 1 },
  "130429": { edge: "messages", code: 130429, times: 1 },
  "131047": { edge: "messages", code: 131047, by_status: true, times: 1 },
  "190": { edge: "*", code: 190, subcode: 463, times: 1 },
  lostAnswer: { edge: "messages", cut: "after", times: 1 },
  outage: { edge: "*", code: 2, http_status: 503, times: 1 },
  slow: { edge: "*", latency_ms: 3000, times: 1 },
};
const TICKS = { accepted: "🕓", sent: "✓", delivered: "✓✓", read: "✓✓ 👀", played: "▶ ✓✓", failed: "⚠" };
const MOST_ROWS = 300;

const find = (selector) => document.querySelector(selector);
const who = find("#who").elements;
const write = find("#write").elements;
const chat = find("#chat");
const events = find("#events");
let language = localStorage.getItem("language") ?? (navigator.language.startsWith("es") ? "es" : "en");
let messages = new Map();
let templates = [];
let replyTo = null;
let isPaused = false;
const t = (key) => TEXTS[language][key] ?? key;

function make(tag, options = {}, ...children) {
  const { on, ...properties } = options;
  const element = Object.assign(document.createElement(tag), properties);
  for (const [event, action] of Object.entries(on ?? {})) element.addEventListener(event, action);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

async function control(path, body, method = body ? "POST" : "GET") {
  const answer = await fetch(`/_simulator${path}`, { method, body: body && JSON.stringify(body) });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error?.message ?? answer.statusText);
  return content;
}

function showProblem(error) {
  find("#state").textContent = error.message;
  find("#state").className = "bad";
}

// Texts

function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll("[data-title]")) element.title = t(element.dataset.title);
  find("#language").textContent = t("other");
  const fault = find("#fault");
  fault.replaceChildren(make("option", { value: "", textContent: t("noFault") }));
  for (const name of Object.keys(FAULTS)) fault.append(make("option", { value: name, textContent: t(name) }));
  renderChat();
}

// The phone

async function loadNumbers() {
  const { data } = await control("/numbers");
  const chosen = who.number.value;
  who.number.replaceChildren(
    ...data.map((number) =>
      make("option", { value: number.id, textContent: `${number.verified_name} · ${number.display_phone_number}` }),
    ),
  );
  if (chosen) who.number.value = chosen;
  const people = (await control("/customers")).data.filter((person) => person.phone_number);
  find("#customers").replaceChildren(
    ...people.map((person) => make("option", { value: person.phone_number, textContent: person.name ?? "" })),
  );
  templates = (await control("/templates")).data;
}

const digits = (text) => text.replace(/\D/g, "");

async function loadChat() {
  messages = new Map();
  if (who.number.value) {
    const query = new URLSearchParams({
      phone_number_id: who.number.value, customer: digits(who.customer.value), limit: "200",
    });
    for (const message of (await control(`/messages?${query}`)).data) messages.set(message.id, message);
  }
  renderChat();
}

function renderChat() {
  const rows = [...messages.values()].filter((message) => message.type !== "reaction").map(bubble);
  if (!rows.length && !who.number.value) rows.push(make("li", { className: "bubble" }, make("p", { textContent: t("empty") })));
  chat.replaceChildren(...rows);
  chat.scrollTop = chat.scrollHeight;
}

function reactionsTo(id) {
  const emoji = [...messages.values()].filter((one) => one.type === "reaction" && one.content.message_id === id);
  return emoji.map((one) => one.content.emoji).join("");
}

function bubble(message) {
  const isMine = message.direction === "incoming";
  const quoted = message.context_id && messages.get(message.context_id);
  const meta = make("p", { className: "meta" });
  meta.append(reactionsTo(message.id), new Date(message.created_at * 1000).toLocaleTimeString([], { timeStyle: "short" }));
  if (isMine) meta.append(message.is_read_by_business ? TICKS.read : TICKS.sent);
  else {
    meta.append(TICKS[message.status] ?? message.status);
    if (!["read", "failed", "echo"].includes(message.status)) meta.append(button(t("read"), () => setRead(message.id)));
    meta.append(button(t("reply"), () => setReply(message)));
  }
  const problem = message.error && make("p", { className: "bad", textContent: `${message.error.code} ${message.error.title}` });
  const quote = quoted && make("p", { className: "quote", textContent: summary(quoted) });
  return make("li", { className: isMine ? "bubble mine" : "bubble" }, quote, ...content(message), problem, meta);
}

const button = (textContent, click) => make("button", { type: "button", textContent, on: { click } });
const paragraph = (textContent, className = "") => textContent && make("p", { textContent, className });
const setRead = (id) => control(`/messages/${encodeURIComponent(id)}/status`, { status: "read" }).catch(showProblem);

function setReply(message) {
  replyTo = message?.id ?? null;
  find("#reply").hidden = !message;
  find("#reply").textContent = message ? t("replying") + summary(message) : "";
  write.text.focus();
}

function summary(message) {
  const { content: inside, type } = message;
  return inside.body?.text ?? inside.body ?? inside.caption ?? inside.name ?? `[${type}]`;
}

function content(message) {
  const { type, content: inside } = message;
  if (type === "text") return [paragraph(inside.body)];
  if (["image", "sticker", "video", "audio", "document", "voice"].includes(type)) return media(type, inside);
  if (type === "location") return [paragraph(`📍 ${inside.name ?? ""} ${inside.latitude}, ${inside.longitude}`)];
  if (type === "contacts") return [paragraph(`👤 ${(inside.items ?? []).map((one) => one.name?.formatted_name).join(", ")}`)];
  if (type === "interactive") return interactive(message, inside);
  if (type === "template") return template(message, inside);
  if (type === "button") return [paragraph(inside.text)];
  return [paragraph(`[${type}]`, "foot")];
}

function media(type, inside) {
  const source = inside.id ? `/_simulator/media/${encodeURIComponent(inside.id)}` : null;
  const caption = paragraph(inside.caption);
  if (!source) return [paragraph(inside.link, "foot"), caption];
  if (type === "image" || type === "sticker") return [make("img", { src: source, alt: inside.caption ?? type }), caption];
  if (type === "video") return [make("video", { src: source, controls: true }), caption];
  if (type === "audio" || type === "voice") return [make("audio", { src: source, controls: true }), caption];
  return [make("a", { href: source, target: "_blank", textContent: `📄 ${inside.filename ?? inside.id}` }), caption];
}

function interactive(message, inside) {
  const reply = inside.button_reply ?? inside.list_reply;
  if (reply) return [paragraph(reply.title)];
  const choices = make("div", { className: "choices" });
  const tap = (kind, chosen) => () => send({ type: "interactive", interactive: { type: kind, [kind]: chosen } }, message.id);
  for (const one of inside.action?.buttons ?? []) choices.append(button(one.reply.title, tap("button_reply", one.reply)));
  if (inside.action?.sections) {
    const list = make("details", {}, make("summary", { textContent: inside.action.button ?? t("options") }));
    for (const section of inside.action.sections)
      for (const row of section.rows ?? []) list.append(button(row.title, tap("list_reply", row)));
    choices.append(list);
  }
  if (inside.action?.parameters?.display_text) choices.append(paragraph(`🔗 ${inside.action.parameters.display_text}`, "foot"));
  return [paragraph(inside.header?.text, "head"), paragraph(inside.body?.text), paragraph(inside.footer?.text, "foot"), choices];
}

function template(message, inside) {
  const known = templates.find((one) => one.name === inside.name && one.language === inside.language?.code);
  const given = Object.fromEntries((inside.components ?? []).map((one) => [one.type.toLowerCase(), one.parameters ?? []]));
  const fill = (text, parameters = []) => {
    let position = 0;
    return text?.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name) => {
      const found = parameters.find((one) => one.parameter_name === name) ?? parameters[position++];
      return found?.text ?? whole;
    });
  };
  const part = (type) => known?.components.find((one) => one.type === type);
  const choices = make("div", { className: "choices" });
  for (const one of part("BUTTONS")?.buttons ?? []) {
    const isReply = one.type === "QUICK_REPLY";
    const answer = () => send({ type: "button", button: { payload: one.text, text: one.text } }, message.id);
    choices.append(isReply ? button(one.text, answer) : paragraph(`🔗 ${one.text}`, "foot"));
  }
  return [
    paragraph(fill(part("HEADER")?.text, given.header), "head"),
    paragraph(fill(part("BODY")?.text, given.body) ?? `[${inside.name}]`),
    paragraph(part("FOOTER")?.text, "foot"),
    choices,
  ];
}

async function send(what, contextId = replyTo) {
  if (!who.number.value) return showProblem(new Error(t("empty")));
  const from = { phone_number: digits(who.customer.value), name: who.name.value || null, hidden: who.hidden.checked };
  const context = contextId ? { context: { id: contextId } } : {};
  try {
    await control("/customers/messages", { phone_number_id: who.number.value, from, ...context, ...what });
    setReply(null);
  } catch (error) {
    showProblem(error);
  }
}

async function asMedia(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let start = 0; start < bytes.length; start += 32768) text += String.fromCharCode(...bytes.subarray(start, start + 32768));
  const kind = ["image", "video", "audio"].find((one) => file.type.startsWith(`${one}/`)) ?? "document";
  const named = kind === "document" ? { filename: file.name } : {};
  return { type: kind, [kind]: { data_base64: btoa(text), mime_type: file.type || "application/octet-stream", ...named } };
}

find("#write").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = write.text.value.trim();
  const [file] = write.file.files;
  if (file) {
    const wanted = await asMedia(file);
    if (text && wanted.type !== "audio") wanted[wanted.type].caption = text;
    await send(wanted);
  } else if (text) await send({ type: "text", text: { body: text } });
  find("#write").reset();
});
write.file.addEventListener("change", () => find("#write").requestSubmit());
write.text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    find("#write").requestSubmit();
  }
});
find("#who").addEventListener("submit", (event) => event.preventDefault());
find("#who").addEventListener("change", () => loadChat().catch(showProblem));
find("#create").addEventListener("click", async () => {
  try {
    const made = await control("/businesses", { name: "Panadería Demo", subscribed: true });
    await loadNumbers();
    who.number.value = made.phone_number_id;
    await loadChat();
    addRow("business", made.access_token, made, new Date());
  } catch (error) {
    showProblem(error);
  }
});

// The log

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function describe(kind, thing) {
  const lines = (headers) => Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join("\n");
  if (kind === "request") {
    const query = thing.query ? `?${thing.query}` : "";
    return `${thing.method} ${thing.path}${query}\n${lines(thing.headers)}\n\n${pretty(thing.body)}\n\n→ ${thing.status}\n${pretty(thing.answer)}`;
  }
  if (kind === "delivery") {
    const attempts = thing.attempts.map((one) => JSON.stringify(one)).join("\n");
    return `POST ${thing.url}\n${lines(thing.headers)}\n\n${pretty(thing.body)}\n\n${attempts}${thing.reason ?? ""}`;
  }
  return JSON.stringify(thing, null, 2);
}

function addRow(kind, what, thing, time, isBad = false) {
  const summaryLine = make(
    "summary", {},
    make("time", { textContent: time.toLocaleTimeString() }),
    make("span", { className: "kind", textContent: kind }),
    make("span", { className: isBad ? "what bad" : "what", textContent: what }),
  );
  const details = make("details", {}, summaryLine);
  details.addEventListener("toggle", () => {
    if (details.open && !details.querySelector("pre")) details.append(make("pre", { textContent: describe(kind, thing) }));
  });
  events.prepend(make("li", {}, details));
  while (events.children.length > MOST_ROWS) events.lastChild.remove();
}

function showEvent(kind, thing) {
  if (isPaused) return;
  if (kind === "request") {
    addRow(kind, `${thing.status} ${thing.method} ${thing.path}`, thing, new Date(thing.at * 1000), thing.status >= 400 || !thing.status);
  } else if (kind === "delivery") {
    const last = thing.attempts.at(-1);
    const result = last ? (last.status ?? last.error) : "";
    const where = thing.url || thing.reason;
    addRow(kind, `${result} ${thing.state} · ${thing.fields.join(", ")} → ${where}`, thing, new Date(thing.created_at * 1000), thing.state !== "delivered");
  } else if (kind === "code") addRow(kind, `${t("code")}: ${thing.code} → ${thing.phone_number}`, thing, new Date());
}

find("#fault").addEventListener("change", async (event) => {
  const wanted = FAULTS[event.target.value];
  await control("/faults", undefined, "DELETE");
  if (wanted) await control("/faults", wanted);
});
find("#pause").addEventListener("click", (event) => {
  isPaused = !isPaused;
  event.target.setAttribute("aria-pressed", String(isPaused));
});
find("#clear").addEventListener("click", () => events.replaceChildren());
find("#language").addEventListener("click", () => {
  language = language === "es" ? "en" : "es";
  localStorage.setItem("language", language);
  translate();
});

function listen() {
  const stream = new EventSource("/_simulator/stream");
  const state = find("#state");
  stream.onopen = () => {
    state.textContent = t("connected");
    state.className = "";
    loadNumbers().then(loadChat).catch(showProblem);
  };
  stream.onerror = () => showProblem(new Error(t("lost")));
  for (const kind of ["request", "delivery", "code"])
    stream.addEventListener(kind, (event) => showEvent(kind, JSON.parse(event.data)));
  stream.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    if (message.phone_number_id !== who.number.value || message.customer !== digits(who.customer.value)) return;
    messages.set(message.id, message);
    renderChat();
  });
}

translate();
listen();
