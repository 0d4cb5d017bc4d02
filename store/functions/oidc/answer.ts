import type { JWTPayload } from "jose";

// answer is called with the claims of a token that holds. Write here what the function does.
// Whom a token is for says its subject: the same for one person at one issuer, always.
export async function answer(_request: Request, claims: JWTPayload): Promise<Response> {
  return Response.json({ subject: claims.sub, until: new Date((claims.exp ?? 0) * 1000).toISOString() });
}
