// The master's routes. Every address is told from this module's own, so that --web-base-path needs no care elsewhere.

const TRAFFIC = new URL("../", import.meta.url);
const LOCUST = new URL("../../", import.meta.url);
const PATIENCE_MS = 10_000;
const LONG_MS = 30 * 60_000; // a start opens and checks the file, which for a large one takes as long as it takes

/** The master was not reached, or did not answer in time. */
export class LostError extends Error {}

/** The session has ended: the answer leads to the login. */
export class LoginError extends Error {
  constructor() {
    super("Your session has ended; log in again.");
  }
}

/**
 * The master refused; the message is its own sentence. `findings` are the faults of a file, each with its place; `again` is
 * the run that was stopped half way, whose records a start would send again.
 */
export class RefusedError extends Error {
  /**
   * @param {string} message
   * @param {string[]} [findings]
   * @param {import("./types.js").HalfWay | null} [again]
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
    const said = JSON.parse(text);
    if (typeof said.error === "string") return new RefusedError(said.error, said.findings ?? []);
  } catch {
    // not JSON: a proxy's page, or Locust's plain text
  }
  const plain = text.trim();
  const short = plain.length < 300 && !plain.startsWith("<") ? plain : "";
  return new RefusedError(short || `The master answered with status ${status}.`);
}

let ahead = 0;

/** The master's clock now, in ISO 8601: what it says of times is compared with its own, not with this machine's. */
export const masterNow = () => new Date(Date.now() + ahead).toISOString();

/** @param {Response} response */
function readClock(response) {
  const at = Date.parse(response.headers.get("Date") ?? "");
  const apart = at + 500 - Date.now(); // the header has whole seconds
  if (Number.isFinite(apart) && Math.abs(apart - ahead) > 1_500) ahead = Math.abs(apart) > 1_500 ? apart : 0;
}

/**
 * @param {string} url
 * @param {RequestInit} options
 * @param {number} patience in ms
 */
async function answer(url, options, patience) {
  let response;
  let text;
  try {
    const signal = AbortSignal.timeout(patience);
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
 * @param {string} path below /traffic/
 * @param {Record<string, string | number>} [query]
 */
export async function get(path, query) {
  return parsed(await answer(address(path, query), {}, PATIENCE_MS));
}

/** @param {"pause" | "go-on" | "stop"} act */
export async function act(act) {
  return parsed(await answer(address(act), { method: "POST" }, PATIENCE_MS));
}

/**
 * @param {string} name an uploaded file's
 * @returns {Promise<{traffic_file: string}>} the file that forms offer now
 */
export async function removeFile(name) {
  return parsed(await answer(address(`files/${encodeURIComponent(name)}`), { method: "DELETE" }, PATIENCE_MS));
}

/**
 * Press Start. RefusedError says why it does not start.
 * @param {Record<string, string>} form
 */
export async function swarm(form) {
  const body = new URLSearchParams(form);
  const said = parsed(await answer(new URL("swarm", LOCUST).href, { method: "POST", body }, LONG_MS));
  if (said.success) return;
  throw new RefusedError(said.message ?? "The master did not start, and did not say why.", [], said.again ?? null);
}
