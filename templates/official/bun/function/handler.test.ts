import { expect, test } from "bun:test";

import handle from "./handler";

test("answers with the body", async () => {
  const response = await handle(new Request("http://function/", { method: "POST", body: "hi" }));
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ method: "POST", body: "hi" });
});
