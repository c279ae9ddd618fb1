// The table of workers: one row each, made once and then updated in place. A worker that joins gets the last row.

import { byId, make, setAttribute, setText, show } from "./dom.js";
import { count, plural, shortId, signed } from "./format.js";
import { StackedBar } from "./stacked_bar.js";

const RECORD_STATES = ["delivered", "rejected", "in_doubt", "leased", "pending"];
const AWAY = new Set(["gone", "missing"]);

export class WorkersView {
  constructor() {
    this._body = byId("workers-table", HTMLTableElement).tBodies[0];
    this._rows = /** @type {Map<string, Row>} */ (new Map());
    this._columns = /** @type {import("./types.js").Column[] | null} */ (null);
  }

  /** @param {import("./types.js").LiveAnswer} live */
  update({ status, ended, worker_columns: columns }) {
    const present = new Set();
    if (!this._columns) this._begin(columns);
    for (const worker of status.workers) {
      present.add(worker.id);
      this._row(worker.id).update(worker, ended);
    }
    for (const [id, row] of this._rows) {
      if (present.has(id)) continue;
      row.element.remove();
      this._rows.delete(id);
    }
    this._count(status.workers);
  }

  /**
   * Draw the headings of the figures.
   * @param {import("./types.js").Column[]} columns
   */
  _begin(columns) {
    this._columns = columns;
    const headings = columns.map((column) => {
      const text = column.heading[0].toUpperCase() + column.heading.slice(1);
      return make("th", { scope: "col", className: align(column) }, text);
    });
    byId("workers-headings").append(...headings);
  }

  /** @param {string} id */
  _row(id) {
    const found = this._rows.get(id);
    if (found) return found;
    const made = new Row(id, this._columns ?? []);
    this._rows.set(id, made);
    this._body.append(made.element);
    return made;
  }

  /** @param {import("./types.js").Worker[]} workers */
  _count(workers) {
    const away = workers.filter((worker) => AWAY.has(worker.state)).length;
    setText(byId("workers-count"), plural(workers.length - away, "worker") + (away ? `, ${count(away)} gone` : ""));
    show(byId("workers-none"), workers.length === 0);
    show(byId("workers-table"), workers.length > 0);
  }
}

class Row {
  /**
   * @param {string} id
   * @param {import("./types.js").Column[]} columns
   */
  constructor(id, columns) {
    const short = make("span", { "aria-hidden": "true" }, shortId(id));
    const name = make("th", { scope: "row", title: id, className: "id" }, short, make("span", { className: "sr" }, id));
    this._state = make("span", { className: "chip small" });
    this._trouble = make("p", { className: "trouble" });
    const bar = make("div", { className: "stack", "aria-hidden": "true" });
    this._bar = new StackedBar(bar, RECORD_STATES);
    this._cells = columns.map((column) => ({ column, cell: make("td", { className: align(column) }) }));
    const state = make("td", {}, this._state, this._trouble);
    const numbers = this._cells.map(({ cell }) => cell);
    this.element = make("tr", {}, name, state, make("td", { className: "wide" }, bar), ...numbers);
  }

  /**
   * @param {import("./types.js").Worker} worker
   * @param {boolean} ended whether this is a report, which does not say what the worker does now
   */
  update(worker, ended) {
    const state = ended && !AWAY.has(worker.state) ? "finished" : worker.state;
    setText(this._state, state);
    setAttribute(this._state, "data-state", state);
    setText(this._trouble, worker.trouble ?? "");
    show(this._trouble, Boolean(worker.trouble));
    for (const { column, cell } of this._cells) setText(cell, written(column, worker));
    const accounted = worker.delivered + worker.rejected + worker.in_doubt + worker.leased;
    const share = Math.max(accounted, worker.slice + worker.moved);
    this._bar.show({ ...worker, pending: share - accounted }, share);
  }
}

/**
 * Return the class that aligns a column: numbers stand to the right.
 * @param {import("./types.js").Column} column
 */
const align = ({ kind }) => (kind === "text" ? "" : "n");

/**
 * Write a worker's figure for people.
 * @param {import("./types.js").Column} column
 * @param {import("./types.js").Worker} worker
 */
function written({ name, kind }, worker) {
  const value = /** @type {Record<string, any>} */ (worker)[name];
  if (kind === "text") return value ?? "–";
  return kind === "change" ? signed(value) : count(value);
}
