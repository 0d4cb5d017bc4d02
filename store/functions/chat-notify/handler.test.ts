import assert from "node:assert/strict";
import { test } from "node:test";

import { Notifier, settings } from "./handler.ts";

const TOKEN = "a-token-of-some-length";
const secrets: Record<string, string> = { "chat-webhook": "https://chat.example/hooks/secret\n", "chat-token": TOKEN + "\n" };

type Sent = { url: string; init: RequestInit };

function notifier(env: Record<string, string> = {}, answer: () => Promise<Response> = async () => new Response("ok")) {
  const sent: Sent[] = [];
  const clock = { now: 0 };
  const fetcher = (async (url: URL, init: RequestInit) => { sent.push({ url: String(url), init }); return answer(); }) as unknown as typeof fetch;
  return { of: new Notifier(settings(env, (name) => secrets[name]), fetcher, () => clock.now), sent, clock };
}

function post(body: unknown, { token = TOKEN, method = "POST" } = {}): Request {
  const text = typeof body === "string";
  return new Request("http://function/", {
    method, headers: { authorization: `Bearer ${token}`, "content-type": text ? "text/plain" : "application/json" },
    body: method === "POST" ? (text ? body : JSON.stringify(body)) : undefined,
  });
}

test("sends a message to the chat of the secret, and nowhere else", async () => {
  const { of, sent } = notifier();
  const response = await of.answer(post({ title: "Disk", text: "90 % full", level: "warning", url: "https://evil.example" }));
  assert.deepEqual([response.status, await response.json()], [200, { sent: true }]);
  assert.equal(sent.length, 1);
  assert.equal(sent[0].url, "https://chat.example/hooks/secret");
  assert.equal(sent[0].init.redirect, "error");
  assert.deepEqual(JSON.parse(String(sent[0].init.body)), { text: "⚠️ *Disk*\n90 % full" });
});

test("calls nobody", async () => {
  const evil = { title: "<!channel> *x*", text: "@here <!here> <https://evil.example|login> [login](https://evil.example) @everyone" };
  for (const [chat, never] of [
    ["slack", /<|\*x\*/], ["google", /</], ["mattermost", /<|@(here|everyone)/], ["discord", /[^\\][<[]/], ["teams", /[^\\]\]\(/],
  ] as const) {
    const { of } = notifier({ CHAT: chat, CHAT_DRY_RUN: "true" });
    const { would } = (await (await of.answer(post(evil))).json()) as { would: { content?: string; text?: string; attachments?: { content: { body: { text: string }[] } }[]; allowed_mentions?: unknown } };
    const text = would.text ?? would.content ?? would.attachments?.[0].content.body.map((block) => block.text).join("\n") ?? "";
    assert.ok(text.includes("login"), chat);
    assert.doesNotMatch(text, never, chat);
    if (chat === "discord") assert.deepEqual(would.allowed_mentions, { parse: [] });
  }
});

test("refuses what is no message", async () => {
  const { of, sent } = notifier();
  for (const [request, status] of [
    [post("x", { token: "wrong" }), 401],
    [post("x", { token: TOKEN + "x" }), 401],
    [post("x", { method: "GET" }), 405],
    [post("  \u0007"), 400],
    [post({}), 400],
    [post([1]), 400],
    [post({ text: 1 }), 400],
    [post({ text: "x", level: "toString" }), 400],
    [post({ text: "x".repeat(2001) }), 400],
    [post({ title: "x".repeat(151) }), 400],
    [post("x".repeat(17_000)), 413],
  ] as const) assert.equal((await of.answer(request)).status, status);
  assert.deepEqual(sent, []);
});

test("sends some messages in a minute, and no more", async () => {
  const { of, sent, clock } = notifier({ CHAT_PER_MINUTE: "2" });
  const statuses = async (n: number) => {
    const all = [];
    for (let i = 0; i < n; i++) all.push((await of.answer(post("x"))).status);
    return all;
  };
  assert.deepEqual(await statuses(3), [200, 200, 429]);
  clock.now += 30_000;
  assert.deepEqual(await statuses(2), [200, 429]);
  assert.equal(sent.length, 3);
});

test("tells nothing of the chat", async () => {
  for (const [answer, status] of [
    [async () => new Response("no_team: secret", { status: 404 }), 502],
    [async () => { throw new TypeError("redirect to https://chat.example/hooks/secret"); }, 502],
    [async () => { throw new DOMException("late", "TimeoutError"); }, 504],
  ] as const) {
    const response = await notifier({}, answer).of.answer(post("x"));
    assert.equal(response.status, status);
    assert.doesNotMatch(await response.text(), /secret|hooks|example/);
  }
});

test("does not start without settings that mean something", () => {
  const all = (change: Record<string, string>) => (name: string) => ({ ...secrets, ...change })[name];
  assert.throws(() => settings({ CHAT: "irc" }, all({})), /none of slack/);
  assert.throws(() => settings({}, all({ "chat-webhook": "http://chat.example" })), /https/);
  assert.throws(() => settings({}, all({ "chat-token": "short" })), /fewer than 16/);
  assert.throws(() => settings({ CHAT_PER_MINUTE: "x" }, all({})), /CHAT_PER_MINUTE/);
});
