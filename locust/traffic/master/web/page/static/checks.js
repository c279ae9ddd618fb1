// The checks of a run: the bounds that a person has set, and what was measured so far.

import { announce } from "./announce.js";
import { byId, make, show } from "./dom.js";

export class ChecksView {
  constructor() {
    this._shown = "";
    this._failed = new Set();
  }

  /** @param {import("./types.js").LiveAnswer} live */
  update({ status, ended }) {
    const checks = status.checks ?? [];
    const key = JSON.stringify([status.run, ended, checks]);
    if (key === this._shown) return;
    this._shown = key;
    show(byId("checks"), checks.length > 0);
    byId("checks-list").replaceChildren(...checks.map((one) => item(one, ended)));
    const failed = checks.filter((one) => standing(one, ended).level === "bad").map(({ check }) => `${status.run} ${check}`);
    for (const one of checks) {
      if (failed.includes(`${status.run} ${one.check}`) && !this._failed.has(`${status.run} ${one.check}`)) {
        announce(`The check ${one.check} fails.`);
      }
    }
    this._failed = new Set(failed);
  }
}

/**
 * @param {import("./types.js").CheckResult} one
 * @param {boolean} ended whether what is not measured by now never will be
 */
function item(one, ended) {
  const { text, level } = standing(one, ended);
  const value = one.value === null ? "not measured" : `is ${Number(one.value.toPrecision(4))}`;
  return make("li", {}, make("span", { className: "chip small", "data-level": level }, text), make("code", {}, one.check), make("span", { className: "count" }, value));
}

/**
 * @param {import("./types.js").CheckResult} one
 * @param {boolean} ended
 */
function standing({ value, passed }, ended) {
  if (passed) return { text: ended ? "passed" : "passes", level: "good" };
  if (value === null && !ended) return { text: "waits", level: "info" };
  return { text: ended ? "failed" : "fails", level: "bad" };
}
