// The dialog: it says what an act means, has fields for users and host if the act starts a run, or a field for one text,
// and shows a refusal. An act may open it again: then it stays, with the next question.

import { whileBusy, relabel } from "./buttons.js";
import { byId, inputOf, setText, show } from "./dom.js";

/** @typedef {{users: string, rate: string, host: string}} StartSettings */

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text
 * @property {string} yes the button's text
 * @property {string} doing the button's text while it is done
 * @property {{text: string, doing: string, act: () => Promise<void>}} [other] another way to go on, with its button
 * @property {StartSettings} [settings] the initial values of the fields; without it there are no fields
 * @property {{label: string, value: string, hint: string}} [field] the field for one text; without it there is none
 * @property {(settings: StartSettings, text: string) => Promise<void>} act if it throws, the dialog shows the error and
 *   stays
 * @property {() => void} after called once the dialog has closed after the act: sets the focus
 */

/** @type {Question | null} */
let question = null;

/** Make the dialog work; called once. */
export function prepareDialog() {
  const dialog = byId("ask", HTMLDialogElement);
  byId("ask-no").addEventListener("click", () => dialog.close());
  byId("ask-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const wanted = question;
    if (wanted) void whileBusy(byId("ask-yes"), wanted.doing, () => answer(wanted, wanted.act));
  });
  byId("ask-other").addEventListener("click", () => {
    const wanted = question;
    const other = wanted?.other;
    if (wanted && other) void whileBusy(byId("ask-other"), other.doing, () => answer(wanted, other.act));
  });
}

/**
 * Open the dialog. If it is cancelled, the browser returns the focus to where it was.
 * @param {Question} wanted
 */
export function openDialog(wanted) {
  question = wanted;
  setText(byId("ask-title"), wanted.title);
  setText(byId("ask-text"), wanted.text);
  relabel(byId("ask-yes"), wanted.yes);
  relabel(byId("ask-other"), wanted.other?.text ?? "");
  show(byId("ask-other"), wanted.other !== undefined);
  setText(byId("ask-said"), "");
  show(byId("ask-fields"), wanted.settings !== undefined);
  if (wanted.settings) {
    inputOf("ask-users").value = wanted.settings.users;
    inputOf("ask-rate").value = wanted.settings.rate;
    inputOf("ask-host").value = wanted.settings.host;
  }
  show(byId("ask-text-field"), wanted.field !== undefined);
  setText(byId("ask-text-label"), wanted.field?.label ?? "");
  setText(byId("ask-text-hint"), wanted.field?.hint ?? "");
  inputOf("ask-text-input").value = wanted.field?.value ?? "";
  const dialog = byId("ask", HTMLDialogElement);
  if (!dialog.open) dialog.showModal();
  byId(wanted.field ? "ask-text-input" : wanted.settings ? "ask-yes" : "ask-no").focus();
}

/**
 * @param {Question} wanted
 * @param {(settings: StartSettings, text: string) => Promise<void>} act
 */
async function answer(wanted, act) {
  setText(byId("ask-said"), "");
  const [users, rate, host] = ["ask-users", "ask-rate", "ask-host"].map((id) => inputOf(id).value.trim());
  try {
    await act({ users, rate, host }, inputOf("ask-text-input").value.trim());
    if (question !== wanted) return; // the act has opened it again
    byId("ask", HTMLDialogElement).close();
    wanted.after();
  } catch (error) {
    setText(byId("ask-said"), /** @type {Error} */ (error).message);
  }
}
