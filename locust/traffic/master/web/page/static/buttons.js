// Buttons that tell why they cannot be pressed, and cannot be pressed twice.

import { setAttribute, setText, show } from "./dom.js";

/**
 * Say why a button cannot be used; empty: it can. It can still be reached by keyboard, so that the reason is found.
 * @param {HTMLElement} button
 * @param {string} why
 * @param {Element} [place] where the reason stands, named by the button's aria-describedby
 */
export function allow(button, why, place) {
  button.dataset.why = why;
  if (place) setText(place, why);
  if (button.dataset.busy) return;
  setAttribute(button, "aria-disabled", why ? "true" : null);
  setAttribute(button, "title", why || null);
}

/**
 * Do something at a press, once at a time: the button says so until it is done. A press of a button that cannot be used
 * says why, by `refused`.
 * @param {HTMLElement} button
 * @param {string} doing such as "Pausing…"
 * @param {() => Promise<void>} act
 * @param {(why: string) => void} refused
 */
export function onPress(button, doing, act, refused) {
  button.addEventListener("click", () => {
    if (button.dataset.busy) return;
    if (button.dataset.why) refused(button.dataset.why);
    else void during(button, doing, act);
  });
}

/**
 * Give a button another text, at once or, if it is busy, once it is not.
 * @param {HTMLElement} button
 * @param {string} text
 */
export function relabel(button, text) {
  if (button.dataset.busy) button.dataset.text = text;
  else setText(button, text);
}

/**
 * Hold a button for as long as `act` takes.
 * @param {HTMLElement} button
 * @param {string} doing
 * @param {() => Promise<void>} act
 */
export async function during(button, doing, act) {
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
    allow(button, button.dataset.why ?? "");
  }
}

/**
 * Say something beside what it is about: good news, or why it did not work.
 * @param {HTMLElement} place
 * @param {string} text
 * @param {boolean} [bad]
 */
export function say(place, text, bad = false) {
  place.classList.toggle("bad", bad);
  setText(place, text);
  show(place, true);
}
