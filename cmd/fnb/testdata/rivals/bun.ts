// What bun's starter answers, without a watchdog.
Bun.serve({
  hostname: "127.0.0.1",
  port: 8080,
  fetch: async (request) => Response.json({ method: request.method, body: await request.text() }),
});
