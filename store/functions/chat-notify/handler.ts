import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

import { BadMessage, CHATS, message, type Chat } from "./message.ts";

const SECRETS = "/var/openfaas/secrets/";
const LARGEST_BODY = 16 << 10;
const PATIENCE = 5000; // milliseconds for the chat's answer

export type Settings = { to: URL; token: Buffer; chat: Chat; dry: boolean; perMinute: number };

const hash = (text: string) => createHash("sha256").update(text).digest();

// settings makes sense of the environment and the secrets, or throws.
export function settings(env: Record<string, string | undefined>, secret: (name: string) => string): Settings {
  const chat = CHATS[env.CHAT ?? "slack"];
  if (!chat) throw new Error(`CHAT is none of ${Object.keys(CHATS).join(", ")}`);
  const to = URL.parse(secret("chat-webhook").trim());
  if (to?.protocol !== "https:") throw new Error("the secret chat-webhook is not an https: URL");
  const token = secret("chat-token").trim();
  if (token.length < 16) throw new Error("the secret chat-token has fewer than 16 characters");
  const perMinute = Number(env.CHAT_PER_MINUTE ?? 30);
  if (!(perMinute >= 1 && perMinute <= 1000)) throw new Error("CHAT_PER_MINUTE is not a number from 1 to 1000");
  return { to, token: hash(token), chat, dry: env.CHAT_DRY_RUN === "true", perMinute };
}

// A Notifier sends messages to one chat.
export class Notifier {
  readonly #settings: Settings;
  readonly #fetch: typeof fetch;
  readonly #now: () => number;
  #left: number;
  #at: number;

  constructor(of: Settings, fetcher: typeof fetch = fetch, now: () => number = Date.now) {
    this.#settings = of;
    this.#fetch = fetcher;
    this.#now = now;
    this.#left = of.perMinute;
    this.#at = now();
  }

  async answer(request: Request): Promise<Response> {
    if (request.method !== "POST") return says(405, "send a message with POST", { allow: "POST" });
    if (!this.#allowed(request)) return says(401, "the token is missing, or is not the one of this function", { "www-authenticate": "Bearer" });
    const body = await text(request);
    if (body === undefined) return says(413, `the message has more than ${LARGEST_BODY} bytes`);
    let json: unknown;
    try {
      json = this.#settings.chat(message(body, /^application\/json\b/i.test(request.headers.get("content-type") ?? "")));
    } catch (err) {
      if (err instanceof BadMessage) return says(400, err.message);
      throw err;
    }
    if (!this.#mayGo()) return says(429, `there are more than ${this.#settings.perMinute} messages in a minute`, { "retry-after": "10" });
    if (this.#settings.dry) return Response.json({ sent: false, would: json });
    return this.#send(json);
  }

  // allowed compares hashes, so that the time says nothing of the token.
  #allowed(request: Request): boolean {
    const given = /^Bearer (\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
    return given !== undefined && timingSafeEqual(hash(given), this.#settings.token);
  }

  // mayGo takes one of the messages that a minute has; they come back one by one.
  #mayGo(): boolean {
    const { perMinute } = this.#settings;
    const now = this.#now();
    this.#left = Math.min(perMinute, this.#left + ((now - this.#at) / 60_000) * perMinute);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  async #send(json: unknown): Promise<Response> {
    try {
      const response = await this.#fetch(this.#settings.to, {
        method: "POST", body: JSON.stringify(json), headers: { "content-type": "application/json" }, redirect: "error", signal: AbortSignal.timeout(PATIENCE),
      });
      await response.body?.cancel();
      if (response.ok) return Response.json({ sent: true });
      console.error(`the chat answers ${response.status}`); // its address is a secret
      return says(502, "the chat has not taken the message");
    } catch (err) {
      const late = err instanceof DOMException && err.name === "TimeoutError";
      console.error(late ? "the chat does not answer" : "the chat cannot be reached");
      return says(late ? 504 : 502, late ? "the chat does not answer" : "the chat cannot be reached");
    }
  }
}

async function text(request: Request): Promise<string | undefined> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of request.body ?? []) {
    length += piece.length;
    if (length > LARGEST_BODY) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

function says(status: number, error: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error }, { status, headers });
}

let notifier: Notifier;

// Without its secrets the function does not start.
export function start(): void {
  notifier = new Notifier(settings(process.env, (name) => readFileSync(SECRETS + name, "utf8")));
}

export default function handle(request: Request): Promise<Response> {
  return notifier.answer(request);
}
