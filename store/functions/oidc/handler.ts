import { answer } from "./answer.ts";
import { Refused, settings, Verifier } from "./verifier.ts";

let verifier: Verifier;

// Without settings that mean something the function does not start.
export function start(): void {
  verifier = new Verifier(settings(process.env));
}

export default function handle(request: Request): Promise<Response> {
  return guarded(verifier, request);
}

// guarded answers those whose token holds.
export async function guarded(by: Verifier, request: Request): Promise<Response> {
  try {
    return await answer(request, await by.claims(request));
  } catch (err) {
    if (!(err instanceof Refused)) throw err; // which is logged, and a 500
    const headers = new Headers({ "cache-control": "no-store" });
    if (err.status === 503) headers.set("retry-after", "30");
    else headers.set("www-authenticate", err.code ? `Bearer error="${err.code}", error_description="${err.message}"` : "Bearer");
    return Response.json({ error: err.message }, { status: err.status, headers });
  }
}
