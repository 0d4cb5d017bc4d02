import { expect, test } from "bun:test";

import { opened, Shortener } from "./handler";
import { Links } from "./links";

const TOKEN = "a-token-of-some-length";

function shortener(most = 100) {
  const links = new Links(":memory:", most);
  const of = new Shortener(links, TOKEN);
  const send = (method: string, path: string, body?: unknown, { token = TOKEN, type = "application/json" } = {}) =>
    of.answer(new Request("http://function" + path, {
      method, headers: { authorization: `Bearer ${token}`, "content-type": type },
      body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    }));
  return { links, send };
}

test("makes a link, and leads there", async () => {
  const { send } = shortener();
  const made = await send("POST", "/", { url: "https://example.com/a b?c=d", name: "docs" });
  expect(made.status).toBe(201);
  expect(made.headers.get("location")).toBe("/docs");
  const followed = await send("GET", "/docs", undefined, { token: "" });
  expect(followed.status).toBe(302);
  expect(followed.headers.get("location")).toBe("https://example.com/a%20b?c=d");
  expect(await (await send("GET", "/docs+")).json()).toEqual({ name: "docs", address: "https://example.com/a%20b?c=d", hits: 1 });
});

test("gives names", async () => {
  const { send } = shortener();
  const names = new Set<string>();
  for (let n = 0; n < 50; n++) {
    const { name } = await (await send("POST", "/", "https://example.com/\n", { type: "text/plain" })).json() as { name: string };
    expect(name).toMatch(/^[a-z2-9]{7}$/);
    names.add(name);
  }
  expect(names.size).toBe(50);
});

test("a name leads to one address", async () => {
  const { send } = shortener();
  for (const [url, status] of [["https://example.com/", 201], ["https://example.com", 201], ["https://example.org/", 409]] as const) {
    expect((await send("POST", "/", { url, name: "one" })).status).toBe(status);
  }
  expect((await send("DELETE", "/one")).status).toBe(204);
  expect((await send("DELETE", "/one")).status).toBe(404);
  expect((await send("GET", "/one")).status).toBe(404);
});

test("only who has the token changes links", async () => {
  const { send } = shortener();
  for (const token of ["", "x", TOKEN + "x"]) {
    expect((await send("POST", "/", { url: "https://example.com" }, { token })).status).toBe(401);
    expect((await send("DELETE", "/one", undefined, { token })).status).toBe(401);
  }
  expect(() => new Shortener(new Links(":memory:", 1), "short")).toThrow("fewer than 16");
});

test("refuses what is no link", async () => {
  const { send } = shortener();
  for (const body of [
    "", "{", "null", "[]", {}, { url: 1 }, { url: "example.com" }, { url: "javascript:alert(1)" }, { url: "data:text/html,x" }, { url: "file:///etc/passwd" },
    { url: "https://ann:secret@example.com" }, { url: "https://example.com/" + "x".repeat(2048) },
    { url: "https://example.com", name: "" }, { url: "https://example.com", name: "a/b" }, { url: "https://example.com", name: "A" },
    { url: "https://example.com", name: "-a" }, { url: "https://example.com", name: "x".repeat(41) }, { url: "https://example.com", name: 1 },
  ]) expect((await send("POST", "/", body)).status, JSON.stringify(body).slice(0, 60)).toBe(400);
  expect((await send("POST", "/", "x".repeat(9000))).status).toBe(413);
  expect((await send("POST", "/docs", { url: "https://example.com" })).status).toBe(405);
  expect((await send("PUT", "/", { url: "https://example.com" })).status).toBe(405);
  expect((await send("GET", "/'%20OR%201=1--")).status).toBe(404);
});

test("has room for some links, and no more", async () => {
  const { send } = shortener(2);
  for (const [name, status] of [["a", 201], ["b", 201], ["c", 507], ["a", 201]] as const) {
    expect((await send("POST", "/", { url: "https://example.com/", name })).status).toBe(status);
  }
});

test("some links are always there", () => {
  const links = opened({ LINKS_FILE: ":memory:", LINKS: "a=https://example.com/?x=1  b=http://example.org" });
  expect(links.find("a")?.address).toBe("https://example.com/?x=1");
  expect(links.find("b")?.address).toBe("http://example.org/");
  expect(() => opened({ LINKS_FILE: ":memory:", LINKS: "a" })).toThrow("NAME=ADDRESS");
  expect(() => opened({ LINKS_FILE: ":memory:", LINKS_MAX: "x" })).toThrow("LINKS_MAX");
});
