// Sentences for screen readers: read politely, and none twice in a row.

import { byId } from "./dom.js";

let said = "";

/**
 * Have a sentence read out at the reader's next pause.
 * @param {string} sentence
 */
export function announce(sentence) {
  if (sentence === said) return;
  said = sentence;
  byId("announce").textContent = sentence;
}
