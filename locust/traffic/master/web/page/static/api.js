// The master's routes. Every address is relative to this module's own, so that --web-base-path needs no care elsewhere.

const TRAFFIC = new URL("../", import.meta.url);
const LOCUST = new URL("../../", import.meta.url);
const TIMEOUT_MS = 10_000;
const AGAIN_MS = [200, 1_000]; // after so long, what only reads is asked for again
const START_TIMEOUT_MS = 30 * 60_000; // a start opens and checks the file, however large

/** The master was not reached, or did not answer in time. */
export class LostError extends Error {}

/** The session has ended: the answer leads to the login. */
export class LoginError extends Error {
  constructor() {
    super("Your session has ended; log in again.");
  }
}

/**
 * The master refused; the message is its sentence. `findings` are the faults of a file, each with its place; `again` is
 * the run that was stopped half way, whose records a start would send again.
 */
export class RefusedError extends Error {
  /**
   * @param {string} message
   * @param {string[]} [findings]
   * @param {import("./types.js").InterruptedRun | null} [again]
   */
  constructor(message, findings = [], again = null) {
    super(message);
    this.findings = findings;
    this.again = again;
  }
}

/**
 * The address of a route below /traffic/.
 * @param {string} path
 * @param {Record<string, string | number>} [query] empty values are left out
 */
export function address(path, query = {}) {
  const url = new URL(path, TRAFFIC);
  for (const [name, value] of Object.entries(query)) {
    if (value !== "") url.searchParams.set(name, String(value));
  }
  return url.href;
}

/**
 * What an answer that is not 2xx says: its "error", or its text, or its status.
 * @param {number} status
 * @param {string} text
 */
export function refusal(status, text) {
  try {
    const answered = JSON.parse(text);
    if (typeof answered.error === "string") return new RefusedError(answered.error, answered.findings ?? []);
  } catch {
    // not JSON: a proxy's page, or Locust's plain text
  }
  const plain = text.trim();
  const short = plain.length < 300 && !plain.startsWith("<") ? plain : "";
  return new RefusedError(short || `The master answered with status ${status}.`);
}

let clockOffset = 0;

/** The time by the master's clock, in ISO 8601: the master's times are compared with it, not with this machine's. */
export const masterNow = () => new Date(Date.now() + clockOffset).toISOString();

/** @param {Response} response */
function readClock(response) {
  const at = Date.parse(response.headers.get("Date") ?? "");
  const offset = at + 500 - Date.now(); // the header has whole seconds
  if (!Number.isFinite(offset) || Math.abs(offset - clockOffset) <= 1_500) return;
  clockOffset = Math.abs(offset) > 1_500 ? offset : 0;
}

/**
 * @param {string} url
 * @param {RequestInit} options
 * @param {number} timeoutMs in ms
 */
async function answer(url, options, timeoutMs) {
  let response;
  let text;
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    response = await fetch(url, { ...options, redirect: "manual", cache: "no-store", signal });
    text = response.type === "opaqueredirect" ? "" : await response.text();
  } catch (error) {
    throw new LostError("No answer from the master; try again.", { cause: error });
  }
  if (response.type === "opaqueredirect" || response.status === 401) throw new LoginError();
  readClock(response);
  if (!response.ok) throw refusal(response.status, text);
  return text;
}

/**
 * @param {string} text
 * @returns {any}
 */
function parsed(text) {
  try {
    return text ? JSON.parse(text) : {};
  } catch (error) {
    throw new LostError("What answered is not the master; try again.", { cause: error });
  }
}

/**
 * Ask again if no answer came: a network that changes ends a request, though the master is well.
 * @template T
 * @param {() => Promise<T>} ask
 * @returns {Promise<T>}
 */
async function persistently(ask) {
  for (const wait of AGAIN_MS) {
    try {
      return await ask();
    } catch (error) {
      const cause = error instanceof LostError ? error.cause : null;
      if (!(cause instanceof TypeError)) throw error; // it has an answer, or has waited long
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  return ask();
}

/**
 * @param {string} path below /traffic/
 * @param {Record<string, string | number>} [query]
 */
export async function getOnce(path, query) {
  return parsed(await answer(address(path, query), {}, TIMEOUT_MS));
}

/**
 * @param {string} path below /traffic/
 * @param {Record<string, string | number>} [query]
 */
export function get(path, query) {
  return persistently(() => getOnce(path, query));
}

/**
 * What a start with this form would send. The file is read for it, however large it is.
 * @param {Record<string, string>} form
 * @returns {Promise<import("./types.js").FilePreview>}
 */
export async function preview(form) {
  const body = new URLSearchParams(form);
  const ask = () => answer(address("preview"), { method: "POST", body }, START_TIMEOUT_MS);
  return parsed(await persistently(ask));
}

/** @param {"pause" | "go-on" | "stop"} act */
export async function act(act) {
  return parsed(await answer(address(act), { method: "POST" }, TIMEOUT_MS));
}

/**
 * Change the rate of the live run.
 * @param {string} rate such as 50/s, or a profile
 */
export async function changeRate(rate) {
  const body = new URLSearchParams({ rate });
  return parsed(await answer(address("rate"), { method: "POST", body }, TIMEOUT_MS));
}

/**
 * @param {string} name an uploaded file's
 * @returns {Promise<{traffic_file: string}>} the file that forms offer now
 */
export async function removeFile(name) {
  return parsed(await answer(address(`files/${encodeURIComponent(name)}`), { method: "DELETE" }, TIMEOUT_MS));
}

/**
 * Press Start. RefusedError says why it does not start.
 * @param {Record<string, string>} form
 */
export async function swarm(form) {
  const body = new URLSearchParams(form);
  const { success, message, again } = parsed(
    await answer(new URL("swarm", LOCUST).href, { method: "POST", body }, START_TIMEOUT_MS),
  );
  if (success) return;
  throw new RefusedError(message ?? "The master did not start, and did not say why.", [], again ?? null);
}
