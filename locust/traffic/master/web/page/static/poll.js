// Asks the master for /traffic/live, one question at a time, while somebody looks.

import { get, LoginError, LostError } from "./api.js";

const BUSY_MS = 1_000;
const IDLE_MS = 2_000;
const TRYING_MS = 3_000;
const LATE_MS = 4_000; // an answer that is older is not shown as live

/**
 * What a question should be told of what is known already.
 * @typedef {() => Record<string, string | number>} Known
 */

/**
 * @typedef {object} Listener
 * @property {(live: import("./types.js").Live) => void} answered
 * @property {(seconds: number, error: Error | null) => void} silent without an answer for so many seconds
 */

export class Poll {
  /**
   * @param {Known} known
   * @param {Listener} listener
   */
  constructor(known, listener) {
    this._known = known;
    this._listener = listener;
    this._asking = false;
    this._again = false;
    this._timer = 0;
    this._answered = performance.now();
    this._fresh = false;
    this._error = /** @type {Error | null} */ (null);
  }

  /** Begin, and go on for as long as the page is there. */
  begin() {
    document.addEventListener("visibilitychange", () => this._turned());
    window.setInterval(() => this._watch(), 1_000);
    void this.now();
  }

  /** Ask at once: something was done, and its effect is to be seen. */
  async now() {
    window.clearTimeout(this._timer);
    if (this._asking) {
      this._again = true; // the answer that is on its way may be older than the act
      return;
    }
    this._asking = true;
    const wait = await this._ask();
    this._asking = false;
    if (this._again) {
      this._again = false;
      void this.now();
    } else if (!document.hidden) {
      this._timer = window.setTimeout(() => void this.now(), wait);
    }
  }

  /** @returns {Promise<number>} how long to wait before the next, in ms */
  async _ask() {
    let live;
    try {
      live = await get("live", this._known());
    } catch (error) {
      this._fresh = false;
      this._error = /** @type {Error} */ (error);
      this._tell();
      return error instanceof LoginError || error instanceof LostError ? TRYING_MS : IDLE_MS;
    }
    [this._answered, this._fresh, this._error] = [performance.now(), true, null];
    this._listener.answered(live);
    const idle = !live.live && !live.ending && live.reading === null;
    return idle ? IDLE_MS : BUSY_MS;
  }

  _turned() {
    if (document.hidden) {
      window.clearTimeout(this._timer);
    } else {
      if (this._age() > LATE_MS) this._fresh = false;
      void this.now();
    }
  }

  _age() {
    return performance.now() - this._answered;
  }

  _watch() {
    if (document.hidden) return;
    if (this._age() > LATE_MS) this._fresh = false;
    if (!this._fresh) this._tell();
  }

  _tell() {
    this._listener.silent(Math.floor(this._age() / 1_000), this._error);
  }
}
