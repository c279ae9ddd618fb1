// Numbers, times and names as a person reads them.

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const TENTH = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** @param {number | null | undefined} value */
export const count = (value) => (value === null || value === undefined ? "–" : WHOLE.format(value));

/** @param {number} value records a second */
export const rate = (value) => (value > 0 && value < 100 ? TENTH.format(value) : WHOLE.format(value));

/** @param {number} value with its sign, "0" for none */
export const signed = (value) => (value > 0 ? `+${count(value)}` : value < 0 ? `−${count(-value)}` : "0");

/**
 * "1 record", "2 records".
 * @param {number} value
 * @param {string} one
 */
export const plural = (value, one) => `${count(value)} ${one}${value === 1 ? "" : "s"}`;

/**
 * A share in percent that is 0 or 100 only if it is exactly that.
 * @param {number} part
 * @param {number} whole
 */
export function percent(part, whole) {
  if (whole <= 0) return "–";
  const share = (100 * part) / whole;
  if (part === 0 || part === whole) return `${share} %`;
  return `${TENTH.format(Math.min(99.9, Math.max(0.1, share)))} %`;
}

/** @param {number} value */
export function bytes(value) {
  let power = 0;
  let scaled = value;
  while (scaled >= 1000 && power < UNITS.length - 1) [scaled, power] = [scaled / 1000, power + 1];
  return `${power === 0 || scaled >= 100 ? WHOLE.format(scaled) : TENTH.format(scaled)} ${UNITS[power]}`;
}

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${TENTH.format(Math.max(0, seconds))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/**
 * How long something took: in milliseconds below a second.
 * @param {number | null} seconds
 */
export function time(seconds) {
  if (seconds === null) return "–";
  return seconds < 1 ? `${rate(seconds * 1000)} ms` : `${rate(seconds)} s`;
}

/**
 * Seconds between two times in ISO 8601; null if one is missing.
 * @param {string | null | undefined} from
 * @param {string | null | undefined} to
 */
export function between(from, to) {
  return from && to ? (Date.parse(to) - Date.parse(from)) / 1000 : null;
}

/** @param {string | null | undefined} at ISO 8601 */
export function clock(at) {
  return at ? new Date(at).toLocaleTimeString("en-GB") : "–";
}

/** @param {string | null | undefined} at ISO 8601 */
export function dateAndTime(at) {
  if (!at) return "–";
  const when = new Date(at);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const day = `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
  return `${day} ${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
}

/**
 * A worker's id, `host_32 hex digits`, short enough for a table: the host and a few digits.
 * @param {string} id
 */
export function shortId(id) {
  const found = /^(.*)_([0-9a-f]{32})$/.exec(id);
  const host = found ? found[1] : id;
  const kept = host.length > 24 ? `${host.slice(0, 23)}…` : host;
  return found ? `${kept}_${found[2].slice(0, 6)}` : kept;
}
