// Buttons that say why they cannot be used, and ignore a second press.

import { setAttribute, setText, show } from "./dom.js";

/**
 * Set why a button cannot be used; empty if it can. The keyboard still reaches the button, so that the reason is found.
 * @param {HTMLElement} button
 * @param {string} why
 * @param {Element} [place] where the reason is shown, named by the button's aria-describedby
 */
export function setDisabledReason(button, why, place) {
  button.dataset.why = why;
  if (place) setText(place, why);
  if (button.dataset.busy) return;
  setAttribute(button, "aria-disabled", why ? "true" : null);
  setAttribute(button, "title", why || null);
}

/**
 * Act on a press, one at a time: the button says so until the act is done. If the button cannot be used, a press calls
 * `refused` with the reason.
 * @param {HTMLElement} button
 * @param {string} doing such as "Pausing…"
 * @param {() => Promise<void>} act
 * @param {(why: string) => void} refused
 */
export function onPress(button, doing, act, refused) {
  button.addEventListener("click", () => {
    if (button.dataset.busy) return;
    if (button.dataset.why) refused(button.dataset.why);
    else void whileBusy(button, doing, act);
  });
}

/**
 * Change a button's text, or the text that it has after it was busy.
 * @param {HTMLElement} button
 * @param {string} text
 */
export function relabel(button, text) {
  if (button.dataset.busy) button.dataset.text = text;
  else setText(button, text);
}

/**
 * Keep a button busy while `act` runs.
 * @param {HTMLElement} button
 * @param {string} doing
 * @param {() => Promise<void>} act
 */
export async function whileBusy(button, doing, act) {
  if (button.dataset.busy) return;
  button.dataset.text = button.textContent ?? "";
  button.dataset.busy = "yes";
  button.setAttribute("aria-disabled", "true");
  button.textContent = doing;
  try {
    await act();
  } finally {
    delete button.dataset.busy;
    button.textContent = button.dataset.text ?? "";
    setDisabledReason(button, button.dataset.why ?? "");
  }
}

/**
 * Show a message beside its subject: a success, or why something failed.
 * @param {HTMLElement} place
 * @param {string} text
 * @param {boolean} [bad]
 */
export function showMessage(place, text, bad = false) {
  place.classList.toggle("bad", bad);
  setText(place, text);
  show(place, true);
}
