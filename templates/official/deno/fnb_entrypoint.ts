// Serves the function on the loopback interface, where the watchdog calls it. It lies
// beside the handler, so that Deno finds the handler's deno.json and package.json.

type Handler = (request: Request) => Response | Promise<Response>;
type Hook = () => unknown;

interface Loaded {
  default?: Handler | { fetch: Handler };
  start?: Hook;
  ready?: Hook;
  stop?: Hook;
}

const hookLimit = 10_000;

function failed(err: unknown): Response {
  console.error(err);
  return new Response("Internal Server Error\n", { status: 500 });
}

function handlerOf(loaded: Loaded): Handler {
  const exported = loaded.default;
  if (typeof exported === "function") return exported;
  if (typeof exported?.fetch === "function") return (request) => exported.fetch(request);
  throw new TypeError("the handler's default export is no function: write export default (request: Request) => new Response(…)");
}

function serve(handle: Handler, ready: Hook) {
  return async (request: Request): Promise<Response> => {
    try {
      // The whole target: a caller's may end in the same words.
      if (request.url.slice(request.url.indexOf("/", 8)) === "/_/ready") return await isReady(ready);
      const response = await handle(request);
      if (!(response instanceof Response)) {
        throw new TypeError(`the handler returned ${kind(response)}, which is no Response`);
      }
      return response;
    } catch (err) {
      return failed(err);
    }
  };
}

function kind(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === "object" ? `an object of ${value.constructor?.name ?? "no class"}` : `a ${typeof value}`;
}

async function isReady(ready: Hook): Promise<Response> {
  try {
    if ((await ready()) !== false) return new Response();
    console.error("the ready hook says that the function is not ready");
  } catch (err) {
    console.error("the ready hook failed:", err);
  }
  return new Response(null, { status: 503 });
}

async function start(hook: Hook) {
  const began = Date.now();
  const waiting = setInterval(() => {
    console.error(`the start hook has not returned for ${Math.round((Date.now() - began) / 1000)} seconds`);
  }, hookLimit);
  await hook();
  clearInterval(waiting);
}

// stop returns the exit code.
async function stop(hook: Hook): Promise<number> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it has not returned for ${hookLimit / 1000} seconds`)), hookLimit);
  });
  try {
    await Promise.race([hook(), limit]);
    return 0;
  } catch (err) {
    console.error("the stop hook failed:", err);
    return 1;
  } finally {
    clearTimeout(timer);
  }
}

// The port on which the watchdog calls the function.
function port(): number {
  return Number(URL.parse(Deno.env.get("upstream_url") ?? "")?.port) || 3000;
}

// For how many milliseconds to go on taking requests after SIGTERM. A watchdog
// that passes the signal on before it refuses requests itself does so for
// healthcheck_interval, or else for write_timeout; fnb's passes it on last.
function pause(): number {
  const units: Record<string, number> = { h: 3600000, m: 60000, s: 1000, ms: 1 };
  for (const name of ["healthcheck_interval", "write_timeout"]) {
    const text = Deno.env.get(name) ?? "";
    if (/^\d+$/.test(text)) return Number(text) * 1000;
    if (!/^(\d+(\.\d+)?(h|ms|m|s))+$/.test(text)) continue;
    return [...text.matchAll(/([\d.]+)(h|ms|m|s)/g)].reduce((sum, [, n, unit]) => sum + Number(n) * (units[unit!] ?? 0), 0);
  }
  return 30000;
}

function handlerURL(): string {
  const there = new Set([...Deno.readDirSync(import.meta.dirname!)].map((entry) => entry.name));
  const name = ["handler.ts", "handler.tsx", "handler.js", "handler.mjs"].find((name) => there.has(name));
  if (!name) throw new Error("there is no handler.ts");
  return import.meta.resolve(`./${name}`);
}

async function main() {
  const loaded: Loaded = await import(handlerURL());
  const handle = handlerOf(loaded);
  if (loaded.start) await start(loaded.start);
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: port(),
    onListen() {},
    onError: failed, // also of a stream, whose answer Deno cuts then
  }, serve(handle, loaded.ready ?? (() => true)));
  let closing = false;
  const close = async () => {
    if (closing) return;
    closing = true;
    await server.shutdown();
    Deno.exit(loaded.stop ? await stop(loaded.stop) : 0);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  Deno.addSignalListener("SIGINT", close);
  Deno.addSignalListener("SIGTERM", () => {
    if (timer) return close();
    timer = setTimeout(close, pause());
  });
}

await main().catch((err) => {
  console.error(err);
  Deno.exit(1);
});
