// The form of a new run.

import { get, RefusedError, swarm } from "./api.js";
import { allow, during, say } from "./buttons.js";
import { byId, inputOf, make, show } from "./dom.js";
import { FileChooser } from "./files.js";
import { Upload } from "./upload.js";

/** These have places of their own, or are asked for when they are needed. */
const OWN = new Set(["traffic_file", "traffic_resume", "traffic_resend", "traffic_other_host", "traffic_again"]);

export class StartForm {
  /**
   * @param {() => Promise<void>} look have the master asked again
   * @param {(half: import("./types.js").HalfWay, anew: () => Promise<void>) => void} half asks what to do about a run
   *   that was stopped half way; `anew` starts another all the same
   */
  constructor(look, half) {
    this._look = look;
    this._half = half;
    this._file = new FileChooser();
    this._upload = new Upload((file) => this._file.load(file.path));
    this._asked = false; // for the options, which the form begins with
    this._ready = false;
    this._seen = "";
    byId("start-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this._pressed();
    });
  }

  /** The users and the host as the form has them. */
  get crew() {
    const [users, rate, host] = ["users", "spawn-rate", "host"].map((id) => inputOf(id).value.trim());
    return { users, rate, host };
  }

  /** @param {import("./types.js").Live} live */
  update(live) {
    if (!this._asked) void this._prepare();
    const shown = !live.live && !live.ending;
    const seen = `${shown} ${live.status.run}`;
    if (shown && seen !== this._seen && this._ready) void this._file.load(); // a run leaves its file counted
    this._seen = seen;
    show(byId("start"), shown);
    allow(byId("act-start"), live.acts.start ?? "", byId("why-start"));
    this._upload.update(live);
  }

  /** @param {boolean} cutOff whether a run is there that was cut off, which a new one has to leave */
  offerToLeave(cutOff) {
    show(byId("leave-field"), cutOff);
    if (!cutOff) inputOf("leave").checked = false;
  }

  async _prepare() {
    this._asked = true;
    /** @type {import("./types.js").StartOptions} */
    let options;
    try {
      options = await get("options");
    } catch {
      this._asked = false; // with the next answer, again
      return;
    }
    inputOf("users").value = String(options.users);
    inputOf("spawn-rate").value = String(options.spawn_rate);
    inputOf("host").value = options.host ?? "";
    if (byId("glance-host").textContent === "–") byId("glance-host").textContent = options.host || "–"; // until a run's
    const others = options.fields.filter((one) => !OWN.has(one.name));
    byId("more-fields").replaceChildren(...others.map(field));
    const file = options.fields.find((one) => one.name === "traffic_file");
    await this._file.preset(file?.value ?? "");
    this._ready = true;
  }

  _pressed() {
    const why = byId("act-start").dataset.why;
    say(byId("start-said"), "");
    const wrong = fault(this.crew);
    if (why) say(byId("start-said"), why, true);
    else if (wrong) {
      say(byId("start-said"), wrong.why, true);
      byId(wrong.field).focus();
    } else void during(byId("act-start"), "Starting…", () => this._start());
  }

  async _start() {
    const form = this._form();
    try {
      await swarm(form);
    } catch (error) {
      const half = error instanceof RefusedError ? error.again : null;
      if (half) this._half(half, () => this._startAnew(form));
      else say(byId("start-said"), /** @type {Error} */ (error).message, true);
      return;
    }
    await this._look();
    byId("run-title").focus();
  }

  /** @param {Record<string, string>} form */
  async _startAnew(form) {
    await swarm({ ...form, traffic_again: "yes" });
    await this._look();
  }

  _form() {
    const { users, rate, host } = this.crew;
    const fields = /** @type {NodeListOf<HTMLInputElement | HTMLSelectElement>} */ (
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
 * What of the users cannot be: Locust would take 0 users, and send nothing. null: nothing.
 * @param {import("./dialog.js").Crew} crew
 */
export function fault({ users, rate }) {
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
  const input = one.choices
    ? make("select", {}, ...one.choices.map(option))
    : make("input", { value, autocomplete: "off", spellcheck: false });
  input.id = id;
  input.name = one.name;
  input.setAttribute("aria-describedby", hint);
  const label = make("label", { for: id }, one.label);
  return make("div", { className: "field" }, label, input, make("p", { id: hint, className: "hint" }, one.help));
}
