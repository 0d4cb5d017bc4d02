import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import semver from "semver";

if (process.env.CONF_FAIL === "load") throw new Error("secret-text");

let started = false;

export async function start(): Promise<void> {
  if (process.env.CONF_FAIL === "start") throw new Error("secret-text");
  if (process.env.CONF_HANG === "start") await sleep(3_600_000);
  started = true;
}

export function ready(): boolean {
  if (process.env.CONF_FAIL === "ready") throw new Error("secret-text");
  return !existsSync("/tmp/not-ready");
}

export async function stop(): Promise<void> {
  if (process.env.CONF_FAIL === "stop") throw new Error("secret-text");
  if (process.env.CONF_HANG === "stop") await sleep(3_600_000);
  console.error("stopped");
}

export default async function handle(request: Request): Promise<Response> {
  const url = new URL(request.url);
  const [, route = "", rest = ""] = url.pathname.split("/");
  switch (route) {
    case "echo":
      return new Response(request.body, { headers: { "content-type": request.headers.get("content-type") ?? "" } });
    case "json":
      return Response.json({ a: 1, b: "ü" });
    case "status":
      return new Response(null, { status: Number(rest) });
    case "header":
      return new Response(request.headers.get(rest));
    case "cookie":
      return new Response(request.headers.get("cookie"));
    case "query":
      return new Response(url.searchParams.getAll(rest).join("|"));
    case "path":
      return new Response(url.pathname);
    case "method":
      return new Response(request.method);
    case "set-cookies": {
      const headers = new Headers();
      headers.append("set-cookie", "a=1; Path=/");
      headers.append("set-cookie", "b=2; Path=/");
      return new Response("ok", { headers });
    }
    case "many-headers":
      return new Response(String([...request.headers.keys()].filter((name) => name.startsWith("x-n-")).length));
    case "stream":
      return new Response(events(false), { headers: { "content-type": "text/event-stream" } });
    case "throw-in-stream":
      return new Response(events(true), { headers: { "content-type": "text/event-stream" } });
    case "upload":
      return new Response(String(await count(request)));
    case "first":
      return new Response((await request.body?.getReader().read())?.value);
    case "throw":
      throw new Error("secret-text");
    case "unsendable":
      return 42 as unknown as Response;
    case "async":
      await sleep(10);
      return new Response("async");
    case "started":
      return new Response(started ? "yes" : "no");
    case "package":
      return new Response(String(semver.compare(rest, "1.9.0")));
    case "slow":
      await sleep(Number(rest));
      return new Response("slow");
    case "large":
      return new Response("x".repeat(Number(rest)));
    case "body-text":
      return new Response(await request.text());
    case "form":
      return Response.json(await form(request));
  }
  return new Response("not found\n", { status: 404 });
}

function events(fails: boolean): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async start(controller) {
      controller.enqueue(encoder.encode("data: one\n\n"));
      await sleep(400);
      if (fails) throw new Error("secret-text");
      controller.enqueue(encoder.encode("data: two\n\n"));
      controller.close();
    },
  });
}

async function count(request: Request): Promise<number> {
  let bytes = 0;
  const reader = request.body?.getReader();
  for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) bytes += next.value.length;
  return bytes;
}

async function form(request: Request): Promise<Record<string, unknown[]>> {
  const all: Record<string, unknown[]> = {};
  const data = await request.formData();
  for (const name of data.keys()) all[name] = data.getAll(name);
  return all;
}
