// A stacked bar: one segment for each state of a record, made once; then only their lengths change.

import { make } from "./dom.js";

export class StackedBar {
  /**
   * @param {HTMLElement} bar
   * @param {readonly string[]} names
   */
  constructor(bar, names) {
    this._segments = names.map((name) => {
      const segment = make("span", { className: `seg ${name}` });
      bar.append(segment);
      return { name, segment, grow: "" };
    });
  }

  /**
   * Show the counts as lengths. One that is not zero can always be seen (CSS gives it a least width).
   * @param {Record<string, any>} counts numbers by name, among other things
   * @param {number} whole
   */
  show(counts, whole) {
    for (const one of this._segments) {
      const value = counts[one.name] ?? 0;
      const grow = whole > 0 ? String(value / whole) : "0";
      if (grow === one.grow) continue;
      one.grow = grow;
      one.segment.style.flexGrow = grow;
      one.segment.classList.toggle("some", value > 0);
    }
  }
}
