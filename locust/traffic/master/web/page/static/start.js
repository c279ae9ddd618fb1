// The form of a new run.

import { get, RefusedError, swarm } from "./api.js";
import { setDisabledReason, whileBusy, showMessage } from "./buttons.js";
import { byId, inputOf, make, show } from "./dom.js";
import { FileChooser } from "./files.js";
import { Preview } from "./preview.js";
import { Upload } from "./upload.js";

/** Fields that are not listed: the file has a place of its own, the others are set by dialogs. */
const DIALOG_FIELDS = ["traffic_resume", "traffic_resend", "traffic_other_host", "traffic_again"];
/** Fields that change what the first request looks like. */
const SHOWN_FIELDS = new Set([
  ...["traffic_file", "traffic_records", "traffic_delimiter", "traffic_csv_types", "traffic_csv_body"],
  ...["traffic_header", "traffic_stamp", "traffic_offset", "host"],
]);
const PLACED_FIELDS = new Set(["traffic_file", ...DIALOG_FIELDS]);

export class StartForm {
  /**
   * @param {() => Promise<void>} refresh poll the master now
   * @param {(run: import("./types.js").InterruptedRun, startAgain: () => Promise<void>) => void} askAboutInterrupted
   *   ask whether to resume a run of the same file that was stopped; `startAgain` starts another one
   */
  constructor(refresh, askAboutInterrupted) {
    this._refresh = refresh;
    this._askAboutInterrupted = askAboutInterrupted;
    this._preview = new Preview();
    this._file = new FileChooser(() => this._showPreview());
    this._upload = new Upload(
      async (file) => {
        this._preview.forget();
        await this._file.load(file.path);
      },
      () => this._reading(),
    );
    this._optionsRequested = false; // the options, which fill the form
    this._ready = false;
    this._shownFor = "";
    byId("start-form").addEventListener("change", () => this._showPreview());
    byId("start-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this._submit();
    });
  }

  /** The users and the host in the form. */
  get settings() {
    const [users, rate, host] = ["users", "spawn-rate", "host"].map((id) => inputOf(id).value.trim());
    return { users, rate, host };
  }

  /** @param {import("./types.js").LiveAnswer} live */
  update(live) {
    if (!this._optionsRequested) void this._prepare();
    const shown = !live.live && !live.ending;
    const shownFor = `${shown} ${live.status.run}`;
    // After a run, the number of its file's records is known.
    if (shown && shownFor !== this._shownFor && this._ready) void this._file.load();
    this._shownFor = shownFor;
    if (this._preview.lost) this._showPreview(); // the master answers again
    show(byId("start"), shown);
    setDisabledReason(byId("act-start"), live.acts.start ?? "", byId("why-start"));
    this._upload.update(live);
  }

  /** @param {boolean} cutOff whether a run was cut off, so that a new one must leave it */
  offerToLeave(cutOff) {
    show(byId("leave-field"), cutOff);
    if (!cutOff) inputOf("leave").checked = false;
  }

  async _prepare() {
    this._optionsRequested = true;
    /** @type {import("./types.js").StartOptions} */
    let options;
    try {
      options = await get("options");
    } catch {
      this._optionsRequested = false; // try again with the next answer
      return;
    }
    inputOf("users").value = String(options.users);
    inputOf("spawn-rate").value = String(options.spawn_rate);
    inputOf("host").value = options.host ?? "";
    if (byId("glance-host").textContent === "–") byId("glance-host").textContent = options.host || "–"; // until a run's
    const others = options.fields.filter((one) => !PLACED_FIELDS.has(one.name));
    byId("more-fields").replaceChildren(...others.map(field));
    const file = options.fields.find((one) => one.name === "traffic_file");
    await this._file.preset(file?.value ?? "");
    this._ready = true;
    this._showPreview();
  }

  _submit() {
    const why = byId("act-start").dataset.why;
    showMessage(byId("start-said"), "");
    const wrong = invalidField(this.settings);
    if (why) showMessage(byId("start-said"), why, true);
    else if (wrong) {
      showMessage(byId("start-said"), wrong.why, true);
      byId(wrong.field).focus();
    } else void whileBusy(byId("act-start"), "Starting…", () => this._start());
  }

  async _start() {
    const form = this._form();
    try {
      await swarm(form);
    } catch (error) {
      const interrupted = error instanceof RefusedError ? error.again : null;
      if (interrupted) this._askAboutInterrupted(interrupted, () => this._startAgain(form));
      else showMessage(byId("start-said"), /** @type {Error} */ (error).message, true);
      return;
    }
    await this._refresh();
    byId("run-title").focus();
  }

  /** @param {Record<string, string>} form */
  async _startAgain(form) {
    await swarm({ ...form, traffic_again: "yes" });
    await this._refresh();
  }

  /** The fields that say how the file is read and sent. */
  _reading() {
    const form = this._form();
    return Object.fromEntries(Object.entries(form).filter(([name]) => SHOWN_FIELDS.has(name)));
  }

  _showPreview() {
    if (this._ready) this._preview.show(this._reading());
  }

  _form() {
    const { users, rate, host } = this.settings;
    const fields = /** @type {NodeListOf<HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>} */ (
      byId("more-fields").querySelectorAll("[name]")
    );
    const more = [...fields].map((one) => [one.name, one.value.trim()]);
    return {
      ...Object.fromEntries(more),
      user_count: users,
      spawn_rate: rate,
      host,
      traffic_file: this._file.value,
      traffic_resume: inputOf("leave").checked ? "no" : "",
      traffic_resend: "",
    };
  }
}

/**
 * Return which field of the users is invalid, and why; null if none. Locust would accept 0 users, and send nothing.
 * @param {import("./dialog.js").StartSettings} settings
 */
export function invalidField({ users, rate }) {
  if (!/^[1-9]\d*$/.test(users)) return { field: "users", why: "Users must be a whole number from 1 on." };
  if (!(Number(rate) > 0)) return { field: "spawn-rate", why: "Users started a second must be a number above 0." };
  return null;
}

/** @param {import("./types.js").Field} one */
function field(one) {
  const [id, hint] = [`field-${one.name}`, `hint-${one.name}`];
  const value = one.value ?? "";
  const option = (/** @type {string} */ choice) =>
    make("option", { value: choice, selected: choice === value }, choice);
  const text = { value, autocomplete: "off", spellcheck: false };
  const input = one.choices
    ? make("select", {}, ...one.choices.map(option))
    : one.many
      ? make("textarea", { ...text, rows: 2 })
      : make("input", text);
  input.id = id;
  input.name = one.name;
  input.setAttribute("aria-describedby", hint);
  const label = make("label", { for: id }, one.label);
  return make("div", { className: "field" }, label, input, make("p", { id: hint, className: "hint" }, one.help));
}
