import assert from "node:assert/strict";
import { before, test } from "node:test";

import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JSONWebKeySet } from "jose";

import { guarded } from "./handler.ts";
import { settings, Verifier } from "./verifier.ts";

const ISSUER = "https://issuer.example/realm";
let key: CryptoKey, other: CryptoKey, keys: JSONWebKeySet;

before(async () => {
  const pair = await generateKeyPair("ES256");
  key = pair.privateKey;
  other = (await generateKeyPair("ES256")).privateKey;
  keys = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: "one", alg: "ES256", use: "sig" }] };
});

type Token = { issuer?: string; audience?: string; subject?: string; expires?: string; scope?: string; by?: CryptoKey };

function token({ issuer = ISSUER, audience = "orders", subject = "ann", expires = "5m", scope = "", by = key }: Token = {}): Promise<string> {
  const jwt = new SignJWT({ scope }).setProtectedHeader({ alg: "ES256", kid: "one" }).setIssuer(issuer).setAudience(audience).setIssuedAt();
  if (subject) jwt.setSubject(subject);
  if (expires) jwt.setExpirationTime(expires);
  return jwt.sign(by);
}

function ask(bearer: string | undefined, env: Record<string, string> = {}): Promise<Response> {
  const of = settings({ OIDC_ISSUER: ISSUER, OIDC_AUDIENCE: "orders", OIDC_JWKS: JSON.stringify(keys), ...env });
  return guarded(new Verifier(of), new Request("http://function/", { headers: bearer === undefined ? {} : { authorization: bearer } }));
}

test("answers those whose token holds", async () => {
  const response = await ask("Bearer " + (await token()));
  assert.equal(response.status, 200);
  assert.equal((await response.json()).subject, "ann");
});

test("refuses the others", async () => {
  const unsigned = [{ alg: "none" }, { iss: ISSUER, aud: "orders", sub: "ann", exp: 4e9 }].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".") + ".";
  const shared = await new SignJWT({}).setProtectedHeader({ alg: "HS256" }).setIssuer(ISSUER).setAudience("orders").setSubject("ann").setExpirationTime("5m").sign(new TextEncoder().encode(JSON.stringify(keys)));
  for (const [bearer, says] of [
    [undefined, "a token is wanted"],
    ["Basic YTpi", "a token is wanted"],
    ["Bearer x", "does not hold"],
    ["Bearer " + "x".repeat(9000), "too long"],
    ["Bearer " + unsigned, "does not hold"],
    ["Bearer " + shared, "does not hold"],
    ["Bearer " + (await token({ by: other })), "does not hold"],
    ["Bearer " + (await token({ issuer: "https://evil.example" })), "iss is not"],
    ["Bearer " + (await token({ audience: "mail" })), "aud is not"],
    ["Bearer " + (await token({ subject: "" })), "sub is not"],
    ["Bearer " + (await token({ expires: "" })), "exp is not"],
    ["Bearer " + (await token({ expires: "-1m" })), "has expired"],
  ] as const) {
    const response = await ask(bearer);
    const { error } = (await response.json()) as { error: string };
    assert.equal(response.status, 401, bearer);
    assert.ok(error.includes(says), `${bearer?.slice(0, 40)}: ${error}`);
    assert.match(response.headers.get("www-authenticate") ?? "", /^Bearer/);
  }
});

test("wants a scope", async () => {
  const env = { OIDC_SCOPE: "orders:read orders:write" };
  assert.equal((await ask("Bearer " + (await token({ scope: "orders:read orders:write mail" })), env)).status, 200);
  const response = await ask("Bearer " + (await token({ scope: "orders:read" })), env);
  assert.equal(response.status, 403);
  assert.match(response.headers.get("www-authenticate") ?? "", /insufficient_scope/);
});

test("asks the issuer where its keys are, and believes only that", async () => {
  const of = settings({ OIDC_ISSUER: ISSUER, OIDC_AUDIENCE: "orders" });
  for (const document of [
    "{",
    JSON.stringify({ issuer: "https://evil.example", jwks_uri: "https://issuer.example/keys" }),
    JSON.stringify({ issuer: ISSUER, jwks_uri: "http://issuer.example/keys" }),
    JSON.stringify({ issuer: ISSUER, jwks_uri: "https://issuer.example/keys", more: "x".repeat(70_000) }),
  ]) {
    let asked = "";
    const fetcher = (async (url: string) => { asked = url; return new Response(document); }) as typeof fetch;
    const request = new Request("http://function/", { headers: { authorization: "Bearer " + (await token()) } });
    const response = await guarded(new Verifier(of, fetcher), request);
    assert.equal(response.status, 503, document.slice(0, 60));
    assert.equal(asked, ISSUER + "/.well-known/openid-configuration");
  }
});

test("does not start without settings that mean something", () => {
  for (const env of [
    {},
    { OIDC_ISSUER: ISSUER },
    { OIDC_ISSUER: "http://issuer.example", OIDC_AUDIENCE: "a" },
    { OIDC_ISSUER: ISSUER, OIDC_AUDIENCE: "a", OIDC_JWKS: "{" },
    { OIDC_ISSUER: ISSUER, OIDC_AUDIENCE: "a", OIDC_JWKS: "{}" },
    { OIDC_ISSUER: ISSUER, OIDC_AUDIENCE: "a", OIDC_JWKS_URL: "file:///etc/passwd" },
  ]) assert.throws(() => settings(env), JSON.stringify(env));
});
