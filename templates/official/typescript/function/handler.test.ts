import assert from "node:assert/strict";
import { test } from "node:test";

import handle from "./handler.ts";

test("answers with the body", async () => {
  const response = await handle(new Request("http://function/", { method: "POST", body: "hi" }));
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { method: "POST", body: "hi" });
});
