// Two past runs beside each other: their figures, and the records that ended otherwise.

import { get } from "./api.js";
import { showMessage } from "./buttons.js";
import { byId, make, setText, show } from "./dom.js";
import { count, duration, plural, rate, signed, time } from "./format.js";

const NAMES = /** @type {Record<string, string>} */ ({
  in_doubt: "In doubt", resent: "Repeats", seconds: "Took", rate: "Records a second", mean: "mean", max: "longest",
});

export class CompareView {
  constructor() {
    this._selects = [byId("compare-before", HTMLSelectElement), byId("compare-after", HTMLSelectElement)];
    this._chosen = /** @type {(string | null)[]} */ ([null, null]); // by a person
    this._selects.forEach((select, place) => {
      select.onchange = () => (this._chosen[place] = select.value);
    });
    byId("compare").onsubmit = (event) => {
      event.preventDefault();
      void this._compare();
    };
  }

  /**
   * Offer the runs that have a report; the latest two, unless a person has chosen others.
   * @param {import("./types.js").PastRun[]} rows
   */
  offer(rows) {
    const runs = rows.filter((row) => !row.live && row.counts && row.ended).map((row) => row.run);
    show(byId("compare"), runs.length > 1);
    this._selects.forEach((select, place) => {
      const own = this._chosen[place];
      const chosen = own !== null && runs.includes(own) ? own : runs[1 - place];
      select.replaceChildren(...runs.map((run) => make("option", { value: run, selected: run === chosen }, run)));
    });
  }

  async _compare() {
    const [before, after] = this._selects.map((select) => select.value);
    try {
      this._show(await get("compare", { before, after }));
      showMessage(byId("compare-said"), "", false);
    } catch (error) {
      showMessage(byId("compare-said"), /** @type {Error} */ (error).message, true);
      show(byId("compare-shown"), false);
    }
  }

  /** @param {import("./types.js").Comparison} made */
  _show({ runs, figures, outcomes }) {
    const heading = (/** @type {string} */ text) => make("th", { scope: "col", className: text ? "n" : "" }, text);
    byId("compare-headings").replaceChildren(make("td", {}), ...runs.map(({ run }) => heading(run)), heading("Change"));
    byId("compare-table", HTMLTableElement).tBodies[0].replaceChildren(
      row("Ended", ...runs.map(({ verdict }) => verdict.text), ""),
      ...figures.map((one) => row(named(one.name), written(one.kind, one.before), written(one.kind, one.after), change(one))),
    );
    byId("compare-changes").replaceChildren(...sentences(outcomes).map((text) => make("li", {}, text)));
    show(byId("compare-shown"), true);
    byId("compare-shown").focus();
  }
}

/** @param {string[]} cells */
function row(...cells) {
  const [name, ...values] = cells;
  return make("tr", {}, make("th", { scope: "row" }, name), ...values.map((text) => make("td", { className: "n" }, text)));
}

/** @param {string} name */
function named(name) {
  const [, what, which] = /^(response|service)_(.*)$/.exec(name) ?? [];
  const shown = which ? `${what} time, ${NAMES[which] ?? `${which.slice(1, 3)}${which.length > 3 ? `.${which.slice(3)}` : ""} %`}` : NAMES[name] ?? name;
  return shown[0].toUpperCase() + shown.slice(1);
}

/**
 * @param {string} kind
 * @param {number | null} value
 */
function written(kind, value) {
  if (value === null) return "–";
  return kind === "time" ? time(value) : kind === "seconds" ? duration(value) : kind === "rate" ? rate(value) : count(value);
}

/** @param {import("./types.js").Comparison["figures"][number]} one */
function change({ kind, before, after }) {
  if (before === null || after === null || before === after) return "";
  if (kind === "count") return signed(after - before);
  const share = before ? 100 * (after / before - 1) : 0;
  return before ? `${share < 0 ? "−" : "+"}${rate(Math.abs(share))} %` : "";
}

/** @param {import("./types.js").Comparison["outcomes"]} outcomes */
function sentences({ why_not: why, same, changes }) {
  if (why) return [`What became of each record cannot be compared: ${why}.`];
  const words = (/** @type {string} */ outcome) => outcome.replace("_", " ");
  return [
    `${plural(same ?? 0, "record")} ended alike.`,
    ...changes.map((one) => {
      const more = one.records > one.examples.length ? ", …" : "";
      const which = `record${one.records === 1 ? "" : "s"} ${one.examples.join(", ")}${more}`;
      return `${count(one.records)} ${words(one.before)} before, ${words(one.after)} after: ${which}`;
    }),
  ];
}
