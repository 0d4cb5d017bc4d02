import { createLocalJWKSet, createRemoteJWKSet, errors, jwtVerify, type JSONWebKeySet, type JWTPayload, type JWTVerifyGetKey } from "jose";

const LONGEST_TOKEN = 8192;
const LARGEST_DOCUMENT = 64 << 10;
const PATIENCE = 5000; // milliseconds for an answer of the issuer

// Keys that only the issuer has. A token with "none" or a shared key is refused.
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];

export type Settings = { issuer: string; audience: string; scopes: string[]; keys?: JSONWebKeySet; keysAt?: URL };

// Refused is an answer to a request without a token that is good enough.
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// settings reads the environment, and throws if it says too little.
export function settings(env: Record<string, string | undefined>): Settings {
  const { OIDC_ISSUER: issuer, OIDC_AUDIENCE: audience, OIDC_SCOPE = "", OIDC_JWKS, OIDC_JWKS_URL } = env;
  if (!issuer || !audience) throw new Error("OIDC_ISSUER and OIDC_AUDIENCE must be set");
  https("OIDC_ISSUER", issuer);
  const found: Settings = { issuer, audience, scopes: OIDC_SCOPE.split(" ").filter(Boolean) };
  if (OIDC_JWKS) {
    found.keys = JSON.parse(OIDC_JWKS) as JSONWebKeySet;
    createLocalJWKSet(found.keys); // throws if it is none
  } else if (OIDC_JWKS_URL) {
    found.keysAt = https("OIDC_JWKS_URL", OIDC_JWKS_URL);
  }
  return found;
}

function https(name: string, value: string): URL {
  const url = URL.parse(value);
  if (url?.protocol !== "https:" || url.username || url.password || url.hash) throw new Error(`${name} is not an https: URL`);
  return url;
}

// A Verifier knows which tokens hold.
export class Verifier {
  readonly #settings: Settings;
  readonly #fetch: typeof fetch;
  #key: JWTVerifyGetKey | undefined;

  constructor(of: Settings, fetcher: typeof fetch = fetch) {
    this.#settings = of;
    this.#fetch = fetcher;
    if (of.keys) this.#key = createLocalJWKSet(of.keys);
  }

  // claims are those of the token of a request.
  async claims(request: Request): Promise<JWTPayload> {
    const token = /^Bearer ([\w~+/.=-]+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
    if (!token) throw new Refused(401, "", "a token is wanted: Authorization: Bearer …");
    if (token.length > LONGEST_TOKEN) throw new Refused(401, "invalid_token", "the token is too long");
    const { issuer, audience, scopes } = this.#settings;
    const key = await this.#keys();
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, key, {
        issuer, audience, algorithms: ALGORITHMS, requiredClaims: ["exp", "sub"], clockTolerance: 30,
      }));
    } catch (err) {
      throw refusal(err);
    }
    const has = new Set(typeof payload.scope === "string" ? payload.scope.split(" ") : []);
    const lacks = scopes.filter((scope) => !has.has(scope));
    if (lacks.length > 0) throw new Refused(403, "insufficient_scope", `the token lacks the scope ${lacks.join(" ")}`);
    return payload;
  }

  // keys are the issuer's, which are asked for when the first token comes. Where they are
  // is in the settings, or in the document that the issuer has for that.
  async #keys(): Promise<JWTVerifyGetKey> {
    if (this.#key) return this.#key;
    const at = this.#settings.keysAt ?? (await this.#discover());
    return (this.#key = createRemoteJWKSet(at, { timeoutDuration: PATIENCE, cooldownDuration: 30_000, cacheMaxAge: 600_000 }));
  }

  async #discover(): Promise<URL> {
    const { issuer } = this.#settings;
    try {
      const response = await this.#fetch(issuer.replace(/\/$/, "") + "/.well-known/openid-configuration", {
        redirect: "error", signal: AbortSignal.timeout(PATIENCE), headers: { accept: "application/json" },
      });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const document = JSON.parse(await text(response)) as { issuer?: unknown; jwks_uri?: unknown };
      if (document.issuer !== issuer) throw new Error("its document is of another issuer");
      return https("jwks_uri", String(document.jwks_uri));
    } catch (err) {
      console.error(`asking ${issuer} for its keys:`, err);
      throw new Refused(503, "", "the issuer's keys are not to be had: try again");
    }
  }
}

// text is the body of an answer, if that is not too large.
async function text(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let read = "";
  for await (const piece of response.body ?? []) {
    read += decoder.decode(piece as Uint8Array, { stream: true });
    if (read.length > LARGEST_DOCUMENT) throw new Error("its document is too large");
  }
  return read;
}

// refusal is what a caller is told about a token.
function refusal(err: unknown): Refused {
  if (err instanceof errors.JWKSTimeout || !(err instanceof errors.JOSEError)) {
    console.error("fetching the issuer's keys:", err);
    return new Refused(503, "", "the issuer's keys are not to be had: try again");
  }
  if (err instanceof errors.JWTExpired) return new Refused(401, "invalid_token", "the token has expired");
  if (err instanceof errors.JWTClaimValidationFailed) return new Refused(401, "invalid_token", `the token's ${err.claim} is not what this function wants`);
  return new Refused(401, "invalid_token", "the token does not hold");
}
