import { job } from "./job.ts";
import { Runner } from "./runner.ts";

let runner: Runner;

// Without the token the function does not start.
export function start(): void {
  const token = Deno.readTextFileSync("/var/openfaas/secrets/cron-token").trim();
  runner = new Runner(job, { token, seconds: Number(Deno.env.get("CRON_SECONDS") ?? 60) });
}

export default function handle(request: Request): Promise<Response> {
  return runner.answer(request);
}
