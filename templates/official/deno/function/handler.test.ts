import assert from "node:assert";

import handle from "./handler.ts";

Deno.test("answers with the body", async () => {
  const response = await handle(new Request("http://function/", { method: "POST", body: "hi" }));
  assert.strictEqual(response.status, 200);
  assert.deepStrictEqual(await response.json(), { method: "POST", body: "hi" });
});
