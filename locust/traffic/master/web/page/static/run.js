// The run: its state with the reason, its progress, its figures and details.

import { announce } from "./announce.js";
import { masterNow } from "./api.js";
import { byId, make, setAttribute, setText, show } from "./dom.js";
import { between, clock, count, dateAndTime, duration, percent, plural, rate } from "./format.js";
import { DefinitionList } from "./definition_list.js";
import { StackedBar } from "./stacked_bar.js";

/** The states of a record in the order of the bar, the settled ones first. */
export const RECORD_STATES = /** @type {const} */ ([
  ["delivered", "Delivered"],
  ["rejected", "Rejected"],
  ["in_doubt", "In doubt"],
  ["leased", "Leased"],
  ["pending", "Pending"],
  ["unsent", "Unsent"],
]);
const MEANING = {
  delivered: "the API answered 2xx",
  rejected: "the API said no for good, or attempts ran out",
  in_doubt: "sent, and the answer is not known",
  leased: "in a worker's hands",
  pending: "not dealt out yet",
  unsent: "not sent when the run ended",
};
/** @type {Record<string, string>} what is shown in the place of a seed */
const ORDERS = { file: "none: the file's order", time: "none: the order of the recorded times" };
/** @type {import("./types.js").Verdict} */
const ENDING = {
  text: "stopping",
  level: "warning",
  sentence: "Stopping: answers that are on their way are waited for.",
};

/** @param {import("./types.js").Counts} counts */
export const settled = (counts) => counts.delivered + counts.rejected + counts.in_doubt;

export class RunView {
  constructor() {
    this._bar = new StackedBar(byId("progress"), RECORD_STATES.map(([name]) => name));
    this._legend = new DefinitionList(byId("legend"));
    this._figures = new DefinitionList(byId("figures"));
    this._details = new DefinitionList(byId("facts"));
    this._shown = "";
    this._resumable = /** @type {import("./types.js").PastRun | null} */ (null);
    this._resumed = "";
    this._spokenTenth = -1;
    for (const [name, label] of RECORD_STATES) this._legend.add(name, label, MEANING[name]);
  }

  /** @param {import("./types.js").LiveAnswer} live */
  update({ status, reading, ended, ending }) {
    const stopping = ending && !ended;
    const verdict = stopping ? ENDING : status.verdict;
    this._showState(stopping ? "stopping" : status.state, verdict, status);
    this._showReading(reading);
    this._showHeader(status, verdict.text);
    show(byId("run-body"), status.run !== null);
    if (status.run === null) return;
    this._showProgress(status, ended);
    this._showFigures(status, ended);
    this._showDetails(status);
    this._showResumed(status.resumed ?? []);
  }

  /**
   * Mention a run that can be resumed, while this master has had none.
   * @param {import("./types.js").PastRun | null} row
   */
  offer(row) {
    this._resumable = row;
  }

  /**
   * @param {string} state
   * @param {import("./types.js").Verdict} verdict
   * @param {import("./types.js").Status} status
   */
  _showState(state, verdict, status) {
    const chip = byId("run-state");
    setText(chip, verdict.text);
    setAttribute(chip, "data-state", state);
    setAttribute(chip, "data-level", verdict.level);
    const remaining = status.run === null && this._resumable !== null ? remainingText(this._resumable) : "";
    const said = [verdict.sentence, remaining, sentence(status.reason ?? "")].filter(Boolean).join(" ");
    setText(byId("run-reason"), said);
    document.title = status.run ? `${verdict.text} · Traffic` : "Traffic";
    const shown = `${status.run} ${verdict.text}`;
    if (this._shown && this._shown !== shown) announce(said);
    this._shown = shown;
  }

  /** @param {import("./types.js").LiveAnswer["reading"]} reading */
  _showReading(reading) {
    show(byId("reading"), reading !== null);
    if (reading === null) return;
    const share = reading.of ? reading.done / reading.of : 0;
    setText(byId("reading-text"), `Reading ${reading.file}: ${percent(reading.done, reading.of ?? 0)}`);
    byId("reading-bar", HTMLProgressElement).value = share;
  }

  /**
   * @param {import("./types.js").Status} status
   * @param {string} shown the verdict in a few words
   */
  _showHeader(status, shown) {
    const there = status.workers.filter((worker) => worker.state !== "gone" && worker.state !== "missing");
    if (status.target) setText(byId("glance-host"), status.target.host);
    setText(byId("glance-state"), shown);
    setText(byId("glance-workers"), count(there.length));
    setText(byId("glance-rate"), status.run ? rate(status.rate) : "–");
    setText(byId("glance-settled"), status.run ? percent(settled(status.counts), status.counts.records) : "–");
  }

  /**
   * @param {import("./types.js").Status} status
   * @param {boolean} ended
   */
  _showProgress({ counts }, ended) {
    this._bar.show(counts, counts.records);
    for (const [name] of RECORD_STATES) this._legend.set(name, count(counts[name]));
    for (const name of /** @type {const} */ (["leased", "pending"])) {
      this._legend.show(name, !ended || counts[name] > 0);
    }
    this._legend.show("unsent", ended);
    const tenth = Math.floor((10 * settled(counts)) / Math.max(1, counts.records));
    if (tenth === this._spokenTenth && !ended) return;
    this._spokenTenth = tenth; // the sentence changes at each tenth, not each second
    const present = RECORD_STATES.filter(([name]) => counts[name] > 0);
    const parts = present.map(([name, label]) => `${count(counts[name])} ${label.toLowerCase()}`);
    setText(byId("progress-text"), `Of ${plural(counts.records, "record")}: ${parts.join(", ") || "none yet"}.`);
  }

  /**
   * @param {import("./types.js").Status} status
   * @param {boolean} ended
   */
  _showFigures(status, ended) {
    const now = ended ? status.ended : masterNow();
    this._figures.put("rate", ended ? "Mean rate" : "Rate", `${rate(status.rate)} /s`);
    this._figures.put("eta", "Time left", ended ? "–" : status.state === "running" ? duration(status.eta_s) : "–");
    this._figures.show("eta", !ended);
    this._figures.put("elapsed", ended ? "Took" : "Elapsed", duration(status.seconds ?? between(status.started, now)));
    this._figures.put("attempts", "Attempts", count(status.counts.attempts));
    const maybe = status.counts.maybe_resent ? ` (${count(status.counts.maybe_resent)} possibly)` : "";
    this._figures.put("resent", "Repeats", count(status.counts.resent) + maybe);
    this._figures.put("settled", "Settled", `${count(settled(status.counts))} of ${count(status.counts.records)}`);
  }

  /** @param {import("./types.js").Status} status */
  _showDetails(status) {
    const file = status.dataset;
    const part = file.chosen !== undefined && file.chosen !== file.records;
    this._details.put("file", "File", file.file);
    const chosen = `${count(file.chosen)} of ${count(file.records)}, from ${count(file.offset)} on`;
    this._details.put("records", "Records", part ? chosen : count(file.records));
    this._details.put("run", "Run", status.run ?? "");
    const to = status.target;
    this._details.put("target", "To", to ? `${to.method || "Whole requests to"} ${to.host}${to.path}` : "–");
    const users = `${count(status.users)}, ${status.spawn_rate} started a second`;
    this._details.put("users", "Users", status.users ? users : "–");
    this._details.put("seed", "Seed", ORDERS[status.order ?? ""] ?? String(status.seed));
    this._details.put("policy", "Policy", status.policy ?? "");
    const rows = status.results;
    const lost = rows?.lost ? `, ${count(rows.lost)} lost` : "";
    this._details.put("results", "Results", rows ? `${plural(rows.rows, "row")}${lost}` : "");
    this._details.show("results", Boolean(rows));
    this._details.put("started", "Started", dateAndTime(status.started));
    this._details.put("ended", "Ended", dateAndTime(status.ended));
    this._details.show("ended", Boolean(status.ended));
  }

  /** @param {import("./types.js").Status["resumed"]} resumed */
  _showResumed(resumed) {
    const key = JSON.stringify(resumed);
    if (key === this._resumed) return;
    this._resumed = key;
    const shown = resumed.map(({ at, settled, host }) => {
      const moved = host ? `, at ${host}` : "";
      return make("li", { title: dateAndTime(at) }, `Resumed at ${clock(at)}, with ${count(settled)} settled${moved}`);
    });
    byId("resumed").replaceChildren(...shown);
  }
}

/** @param {import("./types.js").PastRun} row a run that can be resumed */
function remainingText({ run, state, counts }) {
  const remaining = counts ? counts.unsent + counts.pending + counts.leased : 0;
  const of = counts ? plural(counts.records, "record") : "";
  const some = remaining > 0 ? `, and ${count(remaining)} of ${of} are left` : "";
  const was = state === "stopped" ? "was stopped" : state === "failed" ? "could not go on" : "was cut off";
  return `Run ${run} ${was}${some}: resume it, or start another.`;
}

/**
 * Write a text with a capital and a full stop.
 * @param {string} text
 */
function sentence(text) {
  if (!text) return "";
  const whole = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
