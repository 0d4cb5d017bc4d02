// What deno's starter answers, without a watchdog.
Deno.serve(
  { hostname: "127.0.0.1", port: 8080 },
  async (request) => Response.json({ method: request.method, body: await request.text() }),
);
