// job is what runs on schedule. Write here what is to happen; what it returns is part of the
// answer, and must be JSON. The signal says that its time is over: give it to fetch and to what
// else takes one, and look at it in a loop. It may run again after it failed, so that it must
// not matter if something was done already.
export async function job(signal: AbortSignal): Promise<unknown> {
  signal.throwIfAborted();
  await Promise.resolve();
  return { did: "nothing yet: write job.ts" };
}
