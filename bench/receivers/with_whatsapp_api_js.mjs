// whatsapp-api-js with its own middleware for node:http.

import { WhatsAppAPI } from "whatsapp-api-js/middleware/node-http";

import { insert, secret, serve } from "./sink.mjs";

const whatsapp = new WhatsAppAPI({ token: "bench", appSecret: secret, webhookVerifyToken: "bench" });
whatsapp.on.message = ({ message }) => insert(message);

serve((request) => whatsapp.handle_post(request));
