// How long the run's attempts took, over all of it: in total, by request, by status, and why there was no answer.

import { byId, make, setText, show } from "./dom.js";
import { count, plural, time } from "./format.js";

const FIGURES = /** @type {const} */ (["mean", "p50", "p90", "p95", "p99", "p999", "max"]);
// A row for each request or status is shown only if there are several: one alone is the row of all.
const SEVERAL = 2;

export class TimingsView {
  constructor() {
    this._body = byId("timings-table", HTMLTableElement).tBodies[0];
    this._shown = "";
  }

  /** @param {import("./types.js").LiveAnswer} live */
  update({ status }) {
    const timings = status.timings ?? null;
    const key = JSON.stringify([timings, Boolean(status.pace)]);
    if (key === this._shown) return;
    this._shown = key;
    show(byId("timings-table"), timings !== null);
    show(byId("timings-none"), timings === null);
    setText(byId("timings-count"), timings ? plural(timings.attempts, "attempt") : "");
    this._body.replaceChildren(...(timings ? rowsOf(timings, Boolean(status.pace)) : []));
    const errors = timings?.errors ?? [];
    show(byId("timings-errors"), errors.length > 0);
    byId("timings-errors").replaceChildren(
      ...errors.map(({ error, attempts }) => make("li", {}, make("b", {}, `${count(attempts)} × no answer: `), error)),
    );
  }
}

/**
 * @param {import("./types.js").Timings} timings
 * @param {boolean} paced whether records were due, so that a response time is not the service time
 */
function rowsOf(timings, paced) {
  const rows = [row(paced ? "All, from when due" : "All", timings.attempts, timings.response)];
  if (paced) rows.push(row("All, from when sent", timings.attempts, timings.service));
  if (timings.requests.length >= SEVERAL) {
    rows.push(...timings.requests.map((one) => row(`${one.method} ${one.name}`, one.attempts, one.response)));
  }
  const statuses = timings.statuses.map((one) => row(one.status ? `HTTP ${one.status}` : "No answer", one.attempts, one.response));
  if (statuses.length >= SEVERAL) rows.push(...statuses);
  return rows;
}

/**
 * @param {string} what
 * @param {number} attempts
 * @param {import("./types.js").Percentiles} times
 */
function row(what, attempts, times) {
  const figures = FIGURES.map((name) => make("td", { className: "n" }, time(times[name])));
  return make("tr", {}, make("th", { scope: "row", title: what }, what), make("td", { className: "n" }, count(attempts)), ...figures);
}
