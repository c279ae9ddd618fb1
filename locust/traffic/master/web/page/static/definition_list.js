// A <dl> whose pairs are made once and then only change their text.

import { make, setText, show } from "./dom.js";

export class DefinitionList {
  /** @param {HTMLElement} list */
  constructor(list) {
    this._list = list;
    this._pairs = /** @type {Map<string, {pair: HTMLElement, term: HTMLElement, value: HTMLElement}>} */ (new Map());
  }

  /**
   * @param {string} name
   * @param {string} label
   * @param {string} [title]
   */
  add(name, label, title = "") {
    const [term, value] = [make("dt", {}, label), make("dd")];
    const pair = make("div", { className: name, title }, term, value);
    this._list.append(pair);
    const made = { pair, term, value };
    this._pairs.set(name, made);
    return made;
  }

  /** @param {string} name @param {string} text */
  set(name, text) {
    const found = this._pairs.get(name);
    if (found) setText(found.value, text);
  }

  /** @param {string} name @param {string} label @param {string} text */
  put(name, label, text) {
    const found = this._pairs.get(name) ?? this.add(name, label);
    setText(found.term, label);
    setText(found.value, text);
  }

  /** @param {string} name @param {boolean} shown */
  show(name, shown) {
    const found = this._pairs.get(name);
    if (found) show(found.pair, shown);
  }
}
