// The one dialog: it says what an act means, takes users and host where it starts something, and shows a refusal.

import { during } from "./busy.js";
import { byId, setText, show } from "./dom.js";

/** @typedef {{users: string, rate: string, host: string}} Crew */

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text
 * @property {string} yes the button's text
 * @property {string} doing the button's text while it is done
 * @property {Crew} [crew] what the fields begin with; without it there are none
 * @property {(crew: Crew) => Promise<void>} act its RefusedError is shown, and the dialog stays
 * @property {() => void} after called once the dialog has closed after the act: where the focus goes on
 */

/** @type {Question | null} */
let question = null;

/** Make the dialog work; once. */
export function prepare() {
  const dialog = byId("ask");
  byId("ask-no").addEventListener("click", () => dialog.close());
  byId("ask-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const asked = question;
    if (asked) void during(byId("ask-yes"), asked.doing, () => answer(asked));
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
  setText(byId("ask-yes"), asked.yes);
  setText(byId("ask-said"), "");
  show(byId("ask-fields"), asked.crew !== undefined);
  if (asked.crew) {
    byId("ask-users").value = asked.crew.users;
    byId("ask-rate").value = asked.crew.rate;
    byId("ask-host").value = asked.crew.host;
  }
  byId("ask").showModal();
  byId(asked.crew ? "ask-yes" : "ask-no").focus();
}

/** @param {Question} asked */
async function answer(asked) {
  setText(byId("ask-said"), "");
  const [users, rate, host] = ["ask-users", "ask-rate", "ask-host"].map((id) => byId(id).value.trim());
  try {
    await asked.act({ users, rate, host });
    byId("ask").close();
    asked.after();
  } catch (error) {
    setText(byId("ask-said"), /** @type {Error} */ (error).message);
  }
}
