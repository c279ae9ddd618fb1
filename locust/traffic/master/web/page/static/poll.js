// Polls /traffic/live, one request at a time, while the page is visible.

import { getOnce, LoginError, LostError } from "./api.js";

const BUSY_MS = 1_000;
const IDLE_MS = 2_000;
const RETRY_MS = 3_000;
const STALE_MS = 4_000; // an older answer is not shown as live

/**
 * Return the query of a request: what the page knows already.
 * @typedef {() => Record<string, string | number>} Known
 */

/**
 * @typedef {object} Listener
 * @property {(live: import("./types.js").LiveAnswer) => void} answered
 * @property {(seconds: number, error: Error | null) => void} silent called after so many seconds without an answer
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
    this._askAgain = false;
    this._timer = 0;
    this._answered = performance.now();
    this._fresh = false;
    this._error = /** @type {Error | null} */ (null);
  }

  /** Begin to poll, for as long as the page is open. */
  begin() {
    document.addEventListener("visibilitychange", () => this._onVisibilityChange());
    window.setInterval(() => this._checkAge(), 1_000);
    void this.now();
  }

  /** Poll now, because an act was done whose effect should be seen. */
  async now() {
    window.clearTimeout(this._timer);
    if (this._asking) {
      this._askAgain = true; // the answer that is on its way may be from before the act
      return;
    }
    this._asking = true;
    const wait = await this._ask();
    this._asking = false;
    if (this._askAgain) {
      this._askAgain = false;
      void this.now();
    } else if (!document.hidden) {
      this._timer = window.setTimeout(() => void this.now(), wait);
    }
  }

  /** @returns {Promise<number>} how long to wait before the next, in ms */
  async _ask() {
    let live;
    try {
      live = await getOnce("live", this._known());
    } catch (error) {
      this._fresh = false;
      this._error = /** @type {Error} */ (error);
      this._reportSilence();
      return error instanceof LoginError || error instanceof LostError ? RETRY_MS : IDLE_MS;
    }
    [this._answered, this._fresh, this._error] = [performance.now(), true, null];
    this._listener.answered(live);
    const idle = !live.live && !live.ending && live.reading === null;
    return idle ? IDLE_MS : BUSY_MS;
  }

  _onVisibilityChange() {
    if (document.hidden) {
      window.clearTimeout(this._timer);
    } else {
      if (this._age() > STALE_MS) this._fresh = false;
      void this.now();
    }
  }

  _age() {
    return performance.now() - this._answered;
  }

  _checkAge() {
    if (document.hidden) return;
    if (this._age() > STALE_MS) this._fresh = false;
    if (!this._fresh) this._reportSilence();
  }

  _reportSilence() {
    this._listener.silent(Math.floor(this._age() / 1_000), this._error);
  }
}
