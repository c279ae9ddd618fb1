// The events of this master, the newest first. Only the latest are kept in the document.

import { announce } from "./announce.js";
import { byId, make, show } from "./dom.js";
import { clock, dateAndTime } from "./format.js";

const MOST = 300;
const LONG_ID = /(_[0-9a-f]{6})[0-9a-f]{26}\b/g; // shown as in the table of the workers
const SIGNS = { good: "✓", warning: "!", bad: "✕", info: "·" };

export class EventsView {
  constructor() {
    this.next = 0;
    this._list = byId("events-list");
    this._first = true;
  }

  /** @param {import("./types.js").LiveAnswer} live */
  update({ events }) {
    if (events.next < this.next) {
      this._list.replaceChildren(); // another master, whose numbers start again
      this.next = 0;
    }
    const added = events.rows.filter((row) => row.n >= this.next);
    this.next = events.next;
    if (added.length === 0) return;
    this._list.prepend(...added.slice(-MOST).reverse().map(entry));
    while (this._list.children.length > MOST) this._list.lastElementChild?.remove();
    show(byId("events-none"), false);
    if (!this._first) this._announce(added);
    this._first = false;
  }

  /**
   * Have the latest warning or bad event read out.
   * @param {import("./types.js").LoggedEvent[]} rows
   */
  _announce(rows) {
    const notable = rows.filter((row) => row.level === "bad" || row.level === "warning");
    if (notable.length > 0) announce(notable[notable.length - 1].text);
  }
}

/** @param {import("./types.js").LoggedEvent} row */
function entry(row) {
  const time = make("time", { dateTime: row.at, title: dateAndTime(row.at) }, clock(row.at));
  const sign = make("span", { className: "sign", "aria-hidden": "true" }, SIGNS[row.level] ?? "·");
  const level = make("span", { className: "sr" }, `${row.level}: `);
  const text = make("span", { className: "what", title: row.text }, level, row.text.replace(LONG_ID, "$1"));
  return make("li", { value: row.n, className: `event ${row.level}`, "data-kind": row.kind }, time, sign, text);
}
