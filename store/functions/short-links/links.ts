import { Database } from "bun:sqlite";

const LONGEST_ADDRESS = 2048;
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
const LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"; // 32, none of which looks like another

export type Link = { name: string; address: string; hits: number };

// BadLink says why there can be no such link; taken, that the name has another address.
export class BadLink extends Error {
  constructor(message: string, readonly status: 400 | 409 | 507 = 400) {
    super(message);
  }
}

// Links are names and the addresses that they lead to, in a database of SQLite.
export class Links {
  readonly #db: Database;
  readonly #most: number;

  constructor(file: string, most: number) {
    this.#most = most;
    this.#db = new Database(file, { create: true, strict: true });
    this.#db.run("PRAGMA busy_timeout = 2000");
    this.#db.run("PRAGMA journal_mode = WAL");
    this.#db.run("CREATE TABLE IF NOT EXISTS links (name TEXT PRIMARY KEY, address TEXT NOT NULL, hits INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID");
  }

  // add makes a link, with a name of its own if none is given. The same link again is no fault.
  add(address: string, name?: string): Link {
    const to = checked(address);
    if (name !== undefined && !NAME.test(name)) throw new BadLink("a name has up to 40 of a-z, 0-9 and -, and no - at its ends");
    const make = this.#db.transaction(() => {
      const count = this.#db.query<{ n: number }, []>("SELECT count(*) AS n FROM links").get()?.n ?? 0;
      for (let tries = 0; tries < 8; tries++) {
        const own = name ?? random();
        const there = this.find(own);
        if (name !== undefined && there?.address === to) return there;
        if (name !== undefined && there) throw new BadLink("the name leads elsewhere already", 409);
        if (count >= this.#most) throw new BadLink("there are as many links as there may be", 507);
        if (there) continue;
        this.#db.query("INSERT INTO links (name, address) VALUES ($own, $to)").run({ own, to });
        return { name: own, address: to, hits: 0 };
      }
      throw new BadLink("no name is free", 507);
    });
    return make.immediate();
  }

  find(name: string): Link | undefined {
    return this.#db.query<Link, { name: string }>("SELECT name, address, hits FROM links WHERE name = $name").get({ name }) ?? undefined;
  }

  // follow is the address of a link, which is counted.
  follow(name: string): string | undefined {
    return this.#db.query<Link, { name: string }>("UPDATE links SET hits = hits + 1 WHERE name = $name RETURNING address").get({ name })?.address;
  }

  remove(name: string): boolean {
    return this.#db.query("DELETE FROM links WHERE name = $name").run({ name }).changes > 0;
  }

  close(): void {
    this.#db.close();
  }
}

// checked is an address as a browser has it: of the web, and without a password.
function checked(address: string): string {
  const url = address.length <= LONGEST_ADDRESS ? URL.parse(address) : null;
  if (!url || !["http:", "https:"].includes(url.protocol) || url.username || url.password) {
    throw new BadLink(`the address is no http: or https: URL of at most ${LONGEST_ADDRESS} characters, without a user`);
  }
  return url.href;
}

function random(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(7)), (n) => LETTERS[n % LETTERS.length]).join("");
}
