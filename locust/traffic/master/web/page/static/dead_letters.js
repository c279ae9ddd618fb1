// The dead letters of a run: grouped, searched and paged by the master, opened one by one.

import { address, get } from "./api.js";
import { showMessage } from "./buttons.js";
import { byId, debounced, inputOf, make, setText, show } from "./dom.js";
import { count, plural, shortId } from "./format.js";
import { jsonView } from "./json_view.js";

const PAGE = 25;
const TYPING_MS = 250;
const SAID = 160; // so many characters of an answer stand in a letter's line
const HIDDEN_AT_FIRST = [
  ...["letters-search", "letters-pages", "letters-download", "letters-csv", "letters-new", "letters-others"],
];

export class DeadLettersView {
  /** @param {() => void} onGroup what is called when another group is chosen */
  constructor(onGroup) {
    this._onGroup = onGroup;
    this._run = /** @type {string | null} */ (null); // the run whose dead letters are shown
    this._chosen = false; // chosen among the past runs, rather than the present one
    this._known = 0; // the number that the present run had when the list was loaded
    this._latest = 0; // its number by the latest answer
    this._from = 0;
    this._group = /** @type {import("./types.js").LetterGroup | null} */ (null); // the one that is shown; null: all
    this._requests = 0;
    this._list = byId("letters-list");
    this._open(null, false);
    byId("letters-q").addEventListener("input", debounced(() => void this._load(0), TYPING_MS));
    byId("letters-new").addEventListener("click", () => this._renew(this._latest));
    byId("letters-back").addEventListener("click", () => void this._load(this._from - PAGE, true));
    byId("letters-next").addEventListener("click", () => void this._load(this._from + PAGE, true));
  }

  get run() {
    return this._run;
  }

  get group() {
    return this._group;
  }

  /** @param {import("./types.js").LiveAnswer} live */
  update({ status, dead_letters: dead }) {
    this._latest = dead;
    if (this._chosen && this._run !== status.run) return;
    if (this._run !== status.run) {
      this._open(status.run, false);
      this._known = 0;
    }
    if (dead === this._known || status.run === null) return;
    setText(byId("letters-count"), count(dead));
    const reading = this._list.querySelector("details[open]") !== null || this._list.contains(document.activeElement);
    if (reading || this._from > 0) this._offer(dead - this._known); // the list does not change while a person reads
    else this._renew(dead);
  }

  /** @param {number} more */
  _offer(more) {
    setText(byId("letters-new"), more > 0 ? `${count(more)} new: show` : "Show what has changed");
    show(byId("letters-new"), true);
  }

  /** @param {number} dead the present number */
  _renew(dead) {
    this._known = this._latest = dead;
    void this._load(0);
  }

  /**
   * Show the dead letters of a past run.
   * @param {string} run
   */
  async showRun(run) {
    this._open(run, true);
    await this._load(0);
    byId("letters-title").focus();
    byId("letters").scrollIntoView();
  }

  /**
   * @param {string | null} run
   * @param {boolean} chosen
   */
  _open(run, chosen) {
    [this._run, this._chosen, this._from, this._group] = [run, chosen, 0, null];
    inputOf("letters-q").value = "";
    this._list.replaceChildren();
    byId("letters-groups").replaceChildren();
    const meaning = "A record that ends rejected or in doubt is shown here, with its reason.";
    setText(byId("letters-of"), run ? `Of run ${run}. ${meaning}` : meaning);
    setText(byId("letters-said"), "");
    setText(byId("letters-count"), "");
    for (const id of HIDDEN_AT_FIRST) show(byId(id), false);
  }

  /**
   * @param {number} from
   * @param {boolean} [turned] whether a person turned the page, and continues at its top
   */
  async _load(from, turned = false) {
    const request = (this._requests += 1);
    const [run, q] = [this._run ?? "", inputOf("letters-q").value.trim()];
    let found;
    try {
      const group = this._group?.group ?? "";
      found = await get("dead-letters/search", { run, q, group, from: Math.max(0, from), most: PAGE });
    } catch (error) {
      if (request === this._requests) showMessage(byId("letters-said"), /** @type {Error} */ (error).message, true);
      return;
    }
    if (request !== this._requests) return; // a later request is on its way
    this._from = Math.max(0, from);
    this._show(found, q);
    if (turned) byId("letters-title").focus();
  }

  /**
   * @param {import("./types.js").FoundLetters} found
   * @param {string} q
   */
  _show({ run, total, matched, letters, groups, others, answers_not_kept: notKept }, q) {
    this._showGroups(groups, others, notKept);
    setText(byId("letters-count"), count(total));
    show(byId("letters-search"), total > 0);
    show(byId("letters-new"), false);
    const download = byId("letters-download", HTMLAnchorElement);
    show(download, total > 0);
    download.href = address("dead-letters", { run, download: 1 });
    const csv = byId("letters-csv", HTMLAnchorElement);
    show(csv, total > 0);
    csv.href = address("dead-letters", { run, download: 1, format: "csv" });
    const found = `${plural(matched, "dead letter")} of ${count(total)} found.`;
    showMessage(byId("letters-said"), q || this._group ? found : total === 0 ? "None." : "");
    this._list.replaceChildren(...letters.map(letter));
    show(byId("letters-pages"), matched > PAGE);
    const last = this._from + letters.length;
    setText(byId("letters-range"), `${count(this._from + 1)}–${count(last)} of ${count(matched)}`);
    byId("letters-back", HTMLButtonElement).disabled = this._from === 0;
    byId("letters-next", HTMLButtonElement).disabled = last >= matched;
  }

  /**
   * List the groups; pressing one shows its letters alone, pressing it again shows all.
   * @param {import("./types.js").LetterGroup[]} groups
   * @param {{groups: number, count: number}} others
   * @param {number} notKept
   */
  _showGroups(groups, others, notKept) {
    const chosen = this._group?.group;
    this._group = groups.find((one) => one.group === chosen) ?? null;
    const rows = groups.map((one) => {
      const pressed = one.group === chosen;
      const press = () => {
        this._group = pressed ? null : one;
        this._onGroup();
        void this._load(0);
      };
      const button = make("button", { type: "button", "aria-pressed": String(pressed), onclick: press }, ...groupText(one));
      return make("li", {}, button);
    });
    const held = byId("letters-groups").contains(document.activeElement);
    byId("letters-groups").replaceChildren(...rows);
    if (held && chosen) rows[groups.findIndex((one) => one.group === chosen)]?.querySelector("button")?.focus();
    const more = others.groups ? `${plural(others.groups, "smaller group")} with ${plural(others.count, "dead letter")}. ` : "";
    const lost = notKept ? `${plural(notKept, "answer")} could not be kept: there was no room.` : "";
    setText(byId("letters-others"), more + lost);
    show(byId("letters-others"), Boolean(more + lost));
  }
}

/**
 * What people read of a group before they open one of its letters.
 * @param {import("./types.js").LetterGroup} one
 */
function groupText(one) {
  const status = one.status ? `status ${one.status}` : "no status";
  return [
    make("span", { className: "count" }, `${count(one.count)} ×`),
    make("span", { className: "chip small", "data-state": one.outcome }, one.outcome.replace("_", " ")),
    make("span", { className: "status" }, status),
    make("span", { className: "because" }, one.says || "(an empty answer)"),
  ];
}

/** @param {import("./types.js").Letter} one */
function letter(one) {
  const outcome = one.outcome.replace("_", " ");
  const summary = make(
    "summary",
    {},
    make("span", { className: "index" }, `Record ${count(one.index)}`),
    make("span", { className: "chip small", "data-state": one.outcome }, outcome),
    make("span", { className: "status" }, one.status ? `status ${one.status}` : "no status"),
    make("span", { className: "tries" }, plural(one.attempts, "attempt")),
    make("span", { className: "because" }, (one.answer?.text ?? "").trim().slice(0, SAID) || (one.reason ?? "")),
  );
  const details = make("details", {}, summary);
  details.addEventListener("toggle", () => details.append(body(one)), { once: true });
  return make("li", {}, details);
}

/**
 * What is only made when a letter is opened.
 * @param {import("./types.js").Letter} one
 */
function body(one) {
  const fact = (/** @type {string} */ name, /** @type {string} */ value, title = "") =>
    make("div", {}, make("dt", {}, name), make("dd", { title }, value));
  const facts = make(
    "dl",
    { className: "facts" },
    fact("Key", one.key),
    fact("Worker", one.worker ? shortId(one.worker) : "–", one.worker ?? ""),
    fact("Reason", one.reason ?? "–"),
    ...(one.trace ? [fact("Trace", one.trace)] : []),
  );
  const text = one.record === null ? "The record cannot be read any more: its file has changed." : jsonView(one.record);
  const label = `Body of record ${one.index}`;
  const shown = make("pre", { tabIndex: 0, role: "region", "aria-label": label }, text);
  return make("div", { className: "opened" }, facts, ...answerOf(one), make("h3", {}, "Record"), shown);
}

/**
 * What the API said of a record; nothing if it said nothing, or if an earlier release did not keep it.
 * @param {import("./types.js").Letter} one
 */
function answerOf({ answer, index }) {
  if (!answer) return [];
  const text = answer.text ?? `(no text) ${answer.base64 ?? ""}`;
  const fields = Object.entries(answer.fields).map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value)),
  );
  const bytes = make("div", {}, make("dt", {}, "Bytes"), make("dd", {}, count(answer.bytes)));
  const type = make("div", {}, make("dt", {}, "Content type"), make("dd", {}, answer.content_type || "–"));
  const label = `The API's answer to record ${index}`;
  const shown = make("pre", { tabIndex: 0, role: "region", "aria-label": label }, text ? jsonView(text) : "(empty)");
  return [make("h3", {}, "The API's answer"), make("dl", { className: "facts" }, type, bytes, ...fields), shown];
}
