// The one dialog: it says what an act means, takes users and host where it starts something, and shows a refusal. An act
// may ask on: then the dialog stays, and is about the next question.

import { during, relabel } from "./buttons.js";
import { byId, inputOf, setText, show } from "./dom.js";

/** @typedef {{users: string, rate: string, host: string}} Crew */

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text
 * @property {string} yes the button's text
 * @property {string} doing the button's text while it is done
 * @property {{text: string, doing: string, act: () => Promise<void>}} [other] another way to go on, with its button
 * @property {Crew} [crew] what the fields begin with; without it there are none
 * @property {(crew: Crew) => Promise<void>} act its RefusedError is shown, and the dialog stays
 * @property {() => void} after called once the dialog has closed after the act: where the focus goes on
 */

/** @type {Question | null} */
let question = null;

/** Make the dialog work; once. */
export function prepare() {
  const dialog = byId("ask", HTMLDialogElement);
  byId("ask-no").addEventListener("click", () => dialog.close());
  byId("ask-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const asked = question;
    if (asked) void during(byId("ask-yes"), asked.doing, () => answer(asked, asked.act));
  });
  byId("ask-other").addEventListener("click", () => {
    const asked = question;
    const other = asked?.other;
    if (asked && other) void during(byId("ask-other"), other.doing, () => answer(asked, other.act));
  });
}

/**
 * Ask. Who cancels is where they were: browsers see to it.
 * @param {Question} asked
 */
export function ask(asked) {
  question = asked;
  setText(byId("ask-title"), asked.title);
  setText(byId("ask-text"), asked.text);
  relabel(byId("ask-yes"), asked.yes);
  relabel(byId("ask-other"), asked.other?.text ?? "");
  show(byId("ask-other"), asked.other !== undefined);
  setText(byId("ask-said"), "");
  show(byId("ask-fields"), asked.crew !== undefined);
  if (asked.crew) {
    inputOf("ask-users").value = asked.crew.users;
    inputOf("ask-rate").value = asked.crew.rate;
    inputOf("ask-host").value = asked.crew.host;
  }
  const dialog = byId("ask", HTMLDialogElement);
  if (!dialog.open) dialog.showModal();
  byId(asked.crew ? "ask-yes" : "ask-no").focus();
}

/**
 * @param {Question} asked
 * @param {(crew: Crew) => Promise<void>} act
 */
async function answer(asked, act) {
  setText(byId("ask-said"), "");
  const [users, rate, host] = ["ask-users", "ask-rate", "ask-host"].map((id) => inputOf(id).value.trim());
  try {
    await act({ users, rate, host });
    if (question !== asked) return; // it asks on
    byId("ask", HTMLDialogElement).close();
    asked.after();
  } catch (error) {
    setText(byId("ask-said"), /** @type {Error} */ (error).message);
  }
}
