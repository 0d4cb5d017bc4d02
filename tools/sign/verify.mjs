// verify.mjs KEY reads a sigstore bundle on standard input, checks its signature with the public key of the file KEY, in
// PEM, and prints the statement in it. Neither a log nor a time is wanted. What is wrong is an error and the exit code 1.
import { readFileSync } from "node:fs";
import { bundleFromJSON } from "@sigstore/bundle";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";

const bundle = bundleFromJSON(JSON.parse(readFileSync(0, "utf8")));
const key = { rawBytes: readFileSync(process.argv[2], "utf8") };
const nobody = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
const verifier = new Verifier(toTrustMaterial(nobody, { [bundle.verificationMaterial.content.publicKey.hint]: key }), { tlogThreshold: 0, timestampThreshold: 0 });
verifier.verify(toSignedEntity(bundle));
process.stdout.write(bundle.content.dsseEnvelope.payload);
