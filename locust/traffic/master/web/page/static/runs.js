// The past runs, with their reports, and what can be done with each.

import { address, get } from "./api.js";
import { say } from "./buttons.js";
import { byId, make, show } from "./dom.js";
import { between, count, dateAndTime, duration } from "./format.js";

const COUNTS = /** @type {const} */ (["records", "delivered", "rejected", "in_doubt", "unsent"]);

/**
 * @typedef {object} OfARun
 * @property {(row: import("./types.js").PastRun) => void} resume
 * @property {(row: import("./types.js").PastRun) => void} again
 * @property {(run: string) => void} letters
 */

export class RunsView {
  /** @param {OfARun} acts */
  constructor(acts) {
    this._controls = acts;
    this._body = byId("runs-table", HTMLTableElement).tBodies[0];
    this.rows = /** @type {import("./types.js").PastRun[]} */ ([]);
  }

  /** Ask for the list again: a run has begun or ended. */
  async load() {
    try {
      this.rows = (await get("runs")).runs;
    } catch (error) {
      say(byId("runs-said"), /** @type {Error} */ (error).message, true);
      return;
    }
    const past = this.rows.filter((row) => !row.live);
    show(byId("runs-said"), past.length === 0);
    show(byId("runs-table"), past.length > 0);
    this._body.replaceChildren(...past.map((row) => this._row(row)));
  }

  /** @param {string | null} run */
  of(run) {
    return this.rows.find((row) => row.run === run) ?? null;
  }

  /** The latest run that was left before its end and can be resumed. */
  get left() {
    return this.rows.find((row) => row.resumable && !row.live) ?? null;
  }

  /** @param {import("./types.js").PastRun} row */
  _row(row) {
    const { text, level } = row.verdict;
    const told = { className: "chip small", "data-state": row.state, "data-level": level, title: row.reason || "" };
    const state = make("span", told, text);
    const numbers = COUNTS.map((name) => make("td", { className: "n" }, count(row.counts?.[name])));
    const took = row.seconds ?? between(row.started, row.ended);
    return make(
      "tr",
      {},
      make("th", { scope: "row", className: "id" }, row.run, make("span", { className: "to" }, whereTo(row))),
      make("td", {}, state),
      ...numbers,
      make("td", { className: "when" }, dateAndTime(row.started)),
      make("td", { className: "n when" }, duration(took)),
      make("td", {}, this._links(row)),
      make("td", {}, this._controlsOf(row)),
    );
  }

  /** @param {import("./types.js").PastRun} row */
  _links(row) {
    return row.counts ? reportLinks(row.run) : "–";
  }

  /** @param {import("./types.js").PastRun} row */
  _controlsOf(row) {
    const made = make("div", { className: "acts" });
    const add = (/** @type {string} */ text, /** @type {() => void} */ onclick) => {
      const label = `${text}: run ${row.run}`;
      made.append(make("button", { type: "button", className: "small", "aria-label": label, onclick }, text));
    };
    const dead = (row.counts?.rejected ?? 0) + (row.counts?.in_doubt ?? 0);
    if (dead > 0) add("Dead letters", () => this._controls.letters(row.run));
    if (row.resumable) add("Resume", () => this._controls.resume(row));
    if ((row.resendable ?? 0) > 0) add("Send again", () => this._controls.again(row));
    return made;
  }
}

/** @param {import("./types.js").PastRun} row */
function whereTo({ target }) {
  return target ? `to ${target.host}${target.path}` : "";
}

/**
 * The report of a run in its three forms.
 * @param {string} run
 */
export function reportLinks(run) {
  const link = (/** @type {string} */ format, /** @type {string} */ text, download = "1") => {
    const href = address("report", { run, format, download });
    return make("a", { href, "aria-label": `Report as ${text}, run ${run}` }, text);
  };
  const page = link("html", "page", "");
  page.target = "_blank";
  page.rel = "noopener";
  page.setAttribute("aria-label", `Report as a page to print, run ${run}, in a new tab`);
  return make("span", { className: "links" }, page, link("csv", "CSV"), link("json", "JSON"));
}
