// The page's one voice for screen readers: few sentences, politely, and none twice.

import { byId } from "./dom.js";

let said = "";

/**
 * Have a sentence read out when the reader has a pause.
 * @param {string} sentence
 */
export function announce(sentence) {
  if (sentence === said) return;
  said = sentence;
  byId("announce").textContent = sentence;
}
