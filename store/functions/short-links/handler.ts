import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

import { BadLink, Links } from "./links";

const TOKEN = "/var/openfaas/secrets/links-token";
const LARGEST_BODY = 8 << 10;

const hash = (text: string) => createHash("sha256").update(text).digest();

// A Shortener answers requests: anybody may follow a link, who has the token makes them.
export class Shortener {
  readonly #links: Links;
  readonly #token: Buffer;

  constructor(links: Links, token: string) {
    if (token.length < 16) throw new Error("the secret links-token has fewer than 16 characters");
    this.#links = links;
    this.#token = hash(token);
  }

  async answer(request: Request): Promise<Response> {
    const name = decodeURIComponent(new URL(request.url).pathname).slice(1);
    if (request.method === "GET" || request.method === "HEAD") return this.#follow(name);
    if (!this.#allowed(request)) return says(401, "the token is missing, or is not the one of this function", { "www-authenticate": "Bearer" });
    if (request.method === "DELETE") return this.#links.remove(name) ? new Response(null, { status: 204 }) : says(404, "there is no such link");
    if (request.method !== "POST" || name !== "") return says(405, "make a link with POST to /", { allow: "GET, HEAD, POST, DELETE" });
    return this.#add(request);
  }

  #follow(name: string): Response {
    if (name.endsWith("+")) { // what it leads to, without going there
      const link = this.#links.find(name.slice(0, -1));
      return link ? Response.json(link, { headers: SAFE }) : says(404, "there is no such link");
    }
    const address = this.#links.follow(name);
    if (address === undefined) return says(404, "there is no such link");
    return new Response(address + "\n", { status: 302, headers: { ...SAFE, location: address, "content-type": "text/plain; charset=utf-8" } });
  }

  async #add(request: Request): Promise<Response> {
    const body = await text(request);
    if (body === undefined) return says(413, `the body has more than ${LARGEST_BODY} bytes`);
    try {
      const { url, name } = asked(body, request.headers.get("content-type") ?? "");
      const link = this.#links.add(url, name);
      return Response.json(link, { status: 201, headers: { ...SAFE, location: "/" + link.name } });
    } catch (err) {
      if (err instanceof BadLink) return says(err.status, err.message);
      throw err;
    }
  }

  // allowed compares hashes, so that the time says nothing of the token.
  #allowed(request: Request): boolean {
    const given = /^Bearer (\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
    return given !== undefined && timingSafeEqual(hash(given), this.#token);
  }
}

// asked is what a body wants: an address alone, or JSON with url and name.
function asked(body: string, type: string): { url: string; name?: string } {
  if (!/^application\/json\b/i.test(type)) return { url: body.trim() };
  let found: { url?: unknown; name?: unknown };
  try {
    found = JSON.parse(body) ?? {};
  } catch {
    throw new BadLink("the body is no JSON");
  }
  const { url, name } = found;
  if (typeof url !== "string") throw new BadLink("the JSON has no url");
  if (name !== undefined && typeof name !== "string") throw new BadLink("the name is no text");
  return { url, name };
}

const SAFE = { "cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff" };

function says(status: number, error: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error }, { status, headers: { ...SAFE, ...headers } });
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

// opened are the links of the settings: LINKS names some that are always there.
export function opened(env: Record<string, string | undefined>): Links {
  const most = Number(env.LINKS_MAX ?? 100_000);
  if (!(most >= 1)) throw new Error("LINKS_MAX is not a number from 1");
  const links = new Links(env.LINKS_FILE ?? "/tmp/links.db", most);
  for (const pair of (env.LINKS ?? "").split(/\s+/).filter(Boolean)) {
    const at = pair.indexOf("=");
    if (at < 1) throw new Error(`LINKS: ${pair} is not NAME=ADDRESS`);
    links.add(pair.slice(at + 1), pair.slice(0, at));
  }
  return links;
}

let links: Links, shortener: Shortener;

// Without the token the function does not start.
export function start(): void {
  const token = readFileSync(TOKEN, "utf8").trim();
  links = opened(process.env);
  shortener = new Shortener(links, token);
}

export function stop(): void {
  links.close();
}

export default function handle(request: Request): Promise<Response> {
  return shortener.answer(request);
}
