export type Job = (signal: AbortSignal) => Promise<unknown>;

export type Settings = { token: string; seconds: number };

type Run = { began: string; seconds?: number; ok?: boolean };

const REMEMBERED = 1000;

// A Runner runs a job for those who have the token: once at a time, once for each
// occasion, and within its time.
export class Runner {
  readonly #job: Job;
  readonly #settings: Settings;
  readonly #done: string[] = [];
  #running = false;
  #last: Run | undefined;

  constructor(job: Job, settings: Settings) {
    if (settings.token.length < 16) throw new Error("the secret cron-token has fewer than 16 characters");
    if (!(settings.seconds >= 1 && settings.seconds <= 3600)) throw new Error("CRON_SECONDS is not a number from 1 to 3600");
    this.#job = job;
    this.#settings = settings;
  }

  async answer(request: Request): Promise<Response> {
    if (!(await this.#allowed(request))) return says(401, "the token is missing, or is not the one of this function", { "www-authenticate": "Bearer" });
    if (request.method === "GET") return Response.json({ running: this.#running, last: this.#last ?? null });
    if (request.method !== "POST") return says(405, "start the job with POST", { allow: "GET, POST" });
    const occasion = request.headers.get("idempotency-key") ?? request.headers.get("ce-id") ?? "";
    if (occasion.length > 200) return says(400, "the key of the occasion has more than 200 characters");
    if (occasion !== "" && this.#done.includes(occasion)) return Response.json({ ran: false, why: "it has run for this occasion" });
    if (this.#running) return says(409, "the job is running", { "retry-after": String(this.#settings.seconds) });
    return await this.#run(occasion);
  }

  async #run(occasion: string): Promise<Response> {
    const began = Date.now();
    const run: Run = { began: new Date(began).toISOString() };
    this.#running = true;
    this.#last = run;
    const time = new AbortController();
    const timer = setTimeout(() => time.abort(new DOMException("the job's time is over", "TimeoutError")), this.#settings.seconds * 1000);
    const work = Promise.resolve().then(() => this.#job(time.signal));
    // A job that does not listen goes on, and no other begins until it has ended.
    const ended = work.then(() => {}, () => {}).finally(() => {
      clearTimeout(timer);
      run.seconds = (Date.now() - began) / 1000;
      this.#running = false;
    });
    const over = new Promise<never>((_, reject) => time.signal.addEventListener("abort", () => reject(time.signal.reason)));
    try {
      const result = await Promise.race([work, over]);
      await ended;
      run.ok = true;
      if (occasion !== "" && this.#done.push(occasion) > REMEMBERED) this.#done.shift();
      return Response.json({ ran: true, seconds: run.seconds, result: result ?? null });
    } catch (err) {
      run.ok = false;
      console.error("the job:", err);
      if (time.signal.aborted) return says(504, `the job takes more than ${this.#settings.seconds} s`);
      return says(500, "the job has failed; its log says why");
    }
  }

  // allowed compares hashes, so that the time says nothing of the token.
  async #allowed(request: Request): Promise<boolean> {
    const given = /^Bearer (\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
    if (given === undefined) return false;
    const [a, b] = await Promise.all([hash(given), hash(this.#settings.token)]);
    return a.reduce((different, byte, n) => different | (byte ^ b[n]), 0) === 0;
  }
}

async function hash(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function says(status: number, error: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error }, { status, headers });
}
