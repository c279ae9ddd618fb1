// A <dl> whose items are made once; then only their texts change.

import { make, setText, show } from "./dom.js";

export class DefinitionList {
  /** @param {HTMLElement} list */
  constructor(list) {
    this._list = list;
    this._items = /** @type {Map<string, {item: HTMLElement, term: HTMLElement, value: HTMLElement}>} */ (new Map());
  }

  /**
   * @param {string} name
   * @param {string} label
   * @param {string} [title]
   */
  add(name, label, title = "") {
    const [term, value] = [make("dt", {}, label), make("dd")];
    const item = make("div", { className: name, title }, term, value);
    this._list.append(item);
    const made = { item, term, value };
    this._items.set(name, made);
    return made;
  }

  /** @param {string} name @param {string} text */
  set(name, text) {
    const found = this._items.get(name);
    if (found) setText(found.value, text);
  }

  /** @param {string} name @param {string} label @param {string} text */
  put(name, label, text) {
    const found = this._items.get(name) ?? this.add(name, label);
    setText(found.term, label);
    setText(found.value, text);
  }

  /** @param {string} name @param {boolean} shown */
  show(name, shown) {
    const found = this._items.get(name);
    if (found) show(found.item, shown);
  }
}
