import assert from "node:assert";

import { type Job, Runner } from "./runner.ts";

const TOKEN = "a-token-of-some-length";

function runner(job: Job, seconds = 60) {
  const of = new Runner(job, { token: TOKEN, seconds });
  return async (method: string, headers: Record<string, string> = {}, token = TOKEN) => {
    const response = await of.answer(new Request("http://function/", { method, headers: { authorization: `Bearer ${token}`, ...headers } }));
    return { status: response.status, says: await response.json() };
  };
}

Deno.test("runs the job, and says what came of it", async () => {
  const send = runner(() => Promise.resolve({ removed: 3 }));
  assert.deepStrictEqual(await send("GET"), { status: 200, says: { running: false, last: null } });
  const { status, says } = await send("POST");
  assert.deepStrictEqual([status, says.ran, says.result], [200, true, { removed: 3 }]);
  assert.strictEqual((await send("GET")).says.last.ok, true);
});

Deno.test("runs for those who have the token", async () => {
  let runs = 0;
  const send = runner(() => Promise.resolve(runs++));
  for (const token of ["", "x", TOKEN + "x", TOKEN.slice(1)]) {
    assert.strictEqual((await send("POST", {}, token)).status, 401);
    assert.strictEqual((await send("GET", {}, token)).status, 401);
  }
  assert.strictEqual((await send("PUT")).status, 405);
  assert.strictEqual(runs, 0);
  assert.throws(() => new Runner(() => Promise.resolve(), { token: "short", seconds: 1 }), /fewer than 16/);
  assert.throws(() => new Runner(() => Promise.resolve(), { token: TOKEN, seconds: NaN }), /CRON_SECONDS/);
});

Deno.test("runs once at a time", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const send = runner(() => promise);
  const first = send("POST");
  await new Promise((done) => setTimeout(done, 0));
  while (!(await send("GET")).says.running) await new Promise((done) => setTimeout(done, 1));
  assert.strictEqual((await send("POST")).status, 409);
  resolve();
  assert.strictEqual((await first).status, 200);
  assert.strictEqual((await send("POST")).status, 200);
});

Deno.test("runs once for an occasion, unless it failed", async () => {
  let runs = 0;
  const send = runner(() => ++runs === 1 ? Promise.reject(new Error("the disk is full")) : Promise.resolve(runs));
  const failed = await send("POST", { "ce-id": "monday" });
  assert.strictEqual(failed.status, 500);
  assert.ok(!JSON.stringify(failed.says).includes("disk"));
  for (const [key, ran] of [["monday", true], ["monday", false], ["tuesday", true]] as const) {
    assert.strictEqual((await send("POST", { "idempotency-key": key })).says.ran, ran, key);
  }
  assert.strictEqual((await send("POST", { "ce-id": "x".repeat(201) })).status, 400);
  assert.strictEqual(runs, 3);
});

Deno.test("ends a job whose time is over", async () => {
  const send = runner((signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))), 1);
  assert.strictEqual((await send("POST")).status, 504);
  assert.strictEqual((await send("GET")).says.running, false);
});

Deno.test("begins no other while a job does not listen", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const send = runner(() => promise, 1);
  assert.strictEqual((await send("POST")).status, 504);
  assert.strictEqual((await send("POST")).status, 409);
  resolve();
  await promise;
  while ((await send("GET")).says.running) await new Promise((done) => setTimeout(done, 1));
});

Deno.test("a job that throws at once has failed", async () => {
  const send = runner(() => { throw new Error("at once"); });
  assert.strictEqual((await send("POST")).status, 500);
  assert.strictEqual((await send("GET")).says.running, false);
});
