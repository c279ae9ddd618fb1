// The run's course as the master reports it, row by row, and the curves that are drawn from it.

// The last row is taken when the run ends. A rate over the few milliseconds since the row before would mean nothing.
const LEAST_S = 0.8;

/** @typedef {(number | null)[]} Gaps numbers, null where there is none */

/**
 * @typedef {object} Curves
 * @property {number[]} seconds
 * @property {number[]} rate
 * @property {number[]} remaining
 * @property {number[]} due
 * @property {number[]} sent
 * @property {Gaps} p50 response times in milliseconds that half of the attempts since the row before did not exceed
 * @property {Gaps} p99 and 99 of 100
 */

export class Timeline {
  constructor() {
    this.run = /** @type {string | null} */ (null);
    this.generation = 0;
    this.next = 0;
    this._rows = /** @type {number[][]} */ ([]);
    this._columns = /** @type {string[]} */ ([]);
  }

  /** The query that asks only for the rows that are missing here. */
  get known() {
    return { run: this.run ?? "", generation: this.generation, sample: this.next };
  }

  /**
   * Add the master's new rows; return whether there are any.
   * @param {import("./types.js").LiveAnswer["timeline"]} timeline
   */
  take(timeline) {
    const { run, generation, next, columns, rows } = timeline;
    const goesOn = run === this.run && generation === this.generation && this.next > 0;
    if (goesOn && next === this.next) return false;
    this._rows = goesOn ? this._rows.concat(rows) : rows;
    [this.run, this.generation, this.next, this._columns] = [run, generation, next, columns];
    return true;
  }

  /** @returns {Curves} records settled, due and sent a second between two rows; records without an outcome at each */
  get curves() {
    const at = Object.fromEntries(this._columns.map((name, place) => [name, place]));
    const settled = (/** @type {number[]} */ row) => row[at.delivered] + row[at.rejected] + row[at.in_doubt];
    const seconds = this._rows.map((row) => row[at.t_s]);
    const remaining = this._rows.map((row) => row[at.leased] + row[at.pending]);
    const rateOf = (/** @type {(row: number[]) => number} */ value) => this._rows.map((row, place) => {
      const earlier = this._rows.slice(Math.max(0, place - 3), place);
      const before = earlier.findLast((one) => row[at.t_s] - one[at.t_s] >= LEAST_S) ?? earlier[0];
      const span = before ? row[at.t_s] - before[at.t_s] : 0;
      return span > 0 ? Math.max(0, (value(row) - value(before)) / span) : 0;
    });
    const [due, sent] = [rateOf((row) => row[at.due]), rateOf((row) => row[at.sent])];
    const timesOf = (/** @type {number} */ place) => this._rows.map((row) => {
      const seconds = /** @type {Gaps} */ (row)[place] ?? null;
      return seconds === null ? null : 1000 * seconds;
    });
    const [p50, p99] = [timesOf(at.p50_s), timesOf(at.p99_s)];
    return { seconds, rate: rateOf(settled), remaining, due, sent, p50, p99 };
  }
}
