// The list of past runs, with their reports and the acts on each.

import { address, get } from "./api.js";
import { showMessage } from "./buttons.js";
import { CompareView } from "./compare.js";
import { byId, make, show } from "./dom.js";
import { between, count, dateAndTime, duration } from "./format.js";

const COUNTS = /** @type {const} */ (["records", "delivered", "rejected", "in_doubt", "unsent"]);

/**
 * @typedef {object} RunActions
 * @property {(row: import("./types.js").PastRun) => void} resume
 * @property {(row: import("./types.js").PastRun) => void} resend
 * @property {(run: string) => void} letters
 */

export class RunsView {
  /** @param {RunActions} actions */
  constructor(actions) {
    this._actions = actions;
    this._compare = new CompareView();
    this._body = byId("runs-table", HTMLTableElement).tBodies[0];
    this._none = byId("runs-said").textContent ?? "";
    this.rows = /** @type {import("./types.js").PastRun[]} */ ([]);
  }

  /** Load the list, because a run has begun or ended; return whether that succeeded. */
  async load() {
    try {
      this.rows = (await get("runs")).runs;
    } catch (error) {
      showMessage(byId("runs-said"), /** @type {Error} */ (error).message, true);
      return false;
    }
    const past = this.rows.filter((row) => !row.live);
    this._compare.offer(this.rows);
    showMessage(byId("runs-said"), this._none, false);
    show(byId("runs-said"), past.length === 0);
    show(byId("runs-table"), past.length > 0);
    this._body.replaceChildren(...past.map((row) => this._row(row)));
    return true;
  }

  /** @param {string | null} run */
  of(run) {
    return this.rows.find((row) => row.run === run) ?? null;
  }

  /** The latest run that ended early and can be resumed. */
  get resumable() {
    return this.rows.find((row) => row.resumable && !row.live) ?? null;
  }

  /** @param {import("./types.js").PastRun} row */
  _row(row) {
    const { text, level } = row.verdict;
    const data = { "data-state": row.state, "data-level": level };
    const state = make("span", { className: "chip small", ...data, title: row.reason || "" }, text);
    const numbers = COUNTS.map((name) => make("td", { className: "n" }, count(row.counts?.[name])));
    const seconds = row.seconds ?? between(row.started, row.ended);
    return make(
      "tr",
      {},
      make("th", { scope: "row", className: "id" }, row.run, make("span", { className: "to" }, targetText(row))),
      make("td", {}, state),
      ...numbers,
      make("td", { className: "when" }, dateAndTime(row.started)),
      make("td", { className: "n when" }, duration(seconds)),
      make("td", {}, this._links(row)),
      make("td", {}, this._actionsOf(row)),
    );
  }

  /** @param {import("./types.js").PastRun} row */
  _links(row) {
    return row.counts ? reportLinks(row.run, row.results ?? null) : "–";
  }

  /** @param {import("./types.js").PastRun} row */
  _actionsOf(row) {
    const made = make("div", { className: "acts" });
    const add = (/** @type {string} */ text, /** @type {() => void} */ onclick) => {
      const label = `${text}: run ${row.run}`;
      made.append(make("button", { type: "button", className: "small", "aria-label": label, onclick }, text));
    };
    const dead = (row.counts?.rejected ?? 0) + (row.counts?.in_doubt ?? 0);
    if (dead > 0) add("Dead letters", () => this._actions.letters(row.run));
    if (row.resumable) add("Resume", () => this._actions.resume(row));
    if ((row.resendable ?? 0) > 0) add("Send again", () => this._actions.resend(row));
    return made;
  }
}

/** @param {import("./types.js").PastRun} row */
function targetText({ target }) {
  return target ? `to ${target.host}${target.path}` : "";
}

/**
 * Return a link to the rows of a run's results, as CSV.
 * @param {string} run
 */
export function resultsLink(run) {
  const href = address("results", { run, format: "csv", download: "1" });
  return make("a", { href, "aria-label": `Results as CSV, run ${run}` }, "results");
}

/**
 * Return links to the report of a run in its three forms, and to its results if it has some.
 * @param {string} run
 * @param {import("./types.js").Results | null} results
 */
export function reportLinks(run, results) {
  const link = (/** @type {string} */ format, /** @type {string} */ text, download = "1") => {
    const href = address("report", { run, format, download });
    return make("a", { href, "aria-label": `Report as ${text}, run ${run}` }, text);
  };
  const page = link("html", "page", "");
  page.target = "_blank";
  page.rel = "noopener";
  page.setAttribute("aria-label", `Report as a page to print, run ${run}, in a new tab`);
  const rows = results ? [resultsLink(run)] : [];
  return make("span", { className: "links" }, page, link("csv", "CSV"), link("json", "JSON"), ...rows);
}
