// The acts on a run: pause, go on, change the rate, stop, resume, and send its dead letters again.

import { act, changeRate, get, RefusedError, swarm } from "./api.js";
import { openDialog } from "./dialog.js";
import { setDisabledReason, onPress, showMessage } from "./buttons.js";
import { byId, show } from "./dom.js";
import { count, dateAndTime, plural } from "./format.js";
import { invalidField } from "./start.js";

const ACTS = /** @type {const} */ ([
  { id: "pause", route: "pause", name: "pause", doing: "Pausing…" },
  { id: "go-on", route: "go-on", name: "go_on", doing: "Going on…" },
  { id: "stop", route: "stop", name: "stop", doing: "Stopping…" },
]);

const KEYS =
  "They are sent with the same keys as before: an API that honours the Idempotency-Key stores none twice.";
const LOOK_MS = 300;

export class Controls {
  /**
   * @param {() => Promise<void>} refresh poll the master now
   * @param {() => import("./dialog.js").StartSettings} settings the users and the host of the form
   */
  constructor(refresh, settings) {
    this._refresh = refresh;
    this._formSettings = settings;
    const message = byId("acts-said");
    for (const { id, route, doing } of ACTS) {
      onPress(byId(`act-${id}`), doing, () => this._do(route), (why) => showMessage(message, why, true));
    }
    this._rate = "";
    const ask = async () => this._askForRate();
    onPress(byId("act-rate"), "Change the rate", ask, (why) => showMessage(message, why, true));
  }

  /** @param {import("./types.js").LiveAnswer} live */
  update({ acts, status, live }) {
    this._rate = status.pace?.profile ?? "";
    show(byId("act-rate"), live && Boolean(status.pace));
    setDisabledReason(byId("act-rate"), acts.rate ?? "", byId("why-rate"));
    for (const { id, name } of ACTS) setDisabledReason(byId(`act-${id}`), acts[name] ?? "", byId(`why-${id}`));
  }

  /**
   * Offer to resume the latest run once it has ended.
   * @param {import("./types.js").PastRun | null} row its row among the past runs; null while it is live
   */
  offer(row) {
    const resume = byId("act-resume");
    show(resume, Boolean(row?.resumable));
    resume.onclick = () => row && this.resume(row);
  }

  /** @param {"pause" | "go-on" | "stop"} route */
  async _do(route) {
    const message = byId("acts-said");
    showMessage(message, "");
    try {
      await act(route);
    } catch (error) {
      showMessage(message, /** @type {Error} */ (error).message, true);
    }
    await this._refresh();
  }

  _askForRate() {
    openDialog({
      title: "Change the rate",
      text: "What is not dealt out yet is sent at the new rate, from the next moments on. No record is left out.",
      yes: "Change",
      doing: "Changing…",
      field: {
        label: "Records a second, in all",
        value: this._rate,
        hint: "Such as 50/s or 30/m, or a profile: line(10,50,1m) const(50,10m)",
      },
      act: async (_, text) => {
        await changeRate(text);
        await this._refresh();
      },
      after: () => byId("act-rate").focus(),
    });
  }

  /** @param {import("./types.js").PastRun} row */
  resume(row) {
    const meaning = "It goes on with its own file, order, seed and policy; what was delivered stays delivered.";
    openDialog({
      title: `Resume run ${row.run}?`,
      text: [row.counts && remainingText(row.counts), targetText(row), meaning].filter(Boolean).join(" "),
      yes: "Resume",
      doing: "Resuming…",
      settings: this._settingsOf(row),
      act: (settings) => this._goOn(row, settings, { traffic_resume: row.run, traffic_resend: "" }),
      after: () => byId("run-title").focus(),
    });
  }

  /**
   * @param {import("./types.js").PastRun} row
   * @param {import("./types.js").LetterGroup | null} group the letters that are sent; null: all that may be
   */
  resend(row, group) {
    openDialog({
      title: `Send ${plural(group?.count ?? row.resendable ?? 0, "dead letter")} again?`,
      text: `${targetText(row)} ${resendText(row)}`.trim(),
      yes: "Send again",
      doing: "Sending…",
      settings: this._settingsOf(row),
      act: (settings) => {
        const which = group?.group ?? "dead-letters";
        return this._goOn(row, settings, { traffic_resume: row.run, traffic_resend: which });
      },
      after: () => byId("run-title").focus(),
    });
  }

  /**
   * Stop a paused run, and let it go on at once with dead letters that are sent again, and with what it has not sent.
   * @param {import("./types.js").PastRun} row
   * @param {import("./types.js").LetterGroup | null} group the letters that are sent; null: all that may be
   */
  stopAndResend(row, group) {
    const which = group ? `these ${plural(group.count, "dead letter")}` : "its dead letters";
    openDialog({
      title: `Stop the run, and send ${which} again?`,
      text: `The run goes on at once, with them and with what it has not sent yet. ${KEYS}`,
      yes: "Stop and send again",
      doing: "Stopping…",
      act: async () => {
        await act("stop");
        await untilEnded(row.run);
        const form = { traffic_resume: row.run, traffic_resend: group?.group ?? "dead-letters" };
        await this._begin(this._settingsOf(row), form);
      },
      after: () => byId("run-title").focus(),
    });
  }

  /**
   * Ask whether to resume the run that has sent part of the chosen file and was stopped.
   * @param {import("./types.js").InterruptedRun} interrupted
   * @param {() => Promise<void>} startAgain start another run
   */
  askAboutInterrupted(interrupted, startAgain) {
    const { users, rate } = this._formSettings();
    const settings = { users, rate, host: interrupted.target.host };
    openDialog({
      title: "Some of this file has been sent already",
      text: interruptedText(interrupted),
      yes: "Resume",
      doing: "Resuming…",
      other: { text: "Start anew", doing: "Starting…", act: startAgain },
      act: () => this._begin(settings, { traffic_resume: interrupted.run, traffic_resend: "" }),
      after: () => byId("run-title").focus(),
    });
  }

  /**
   * Return the users and the host that a run had; those of the form, if they are not known.
   * @param {import("./types.js").PastRun} row
   */
  _settingsOf({ target, users, spawn_rate: rate }) {
    const form = this._formSettings();
    const known = users ? { users: String(users), rate: String(rate || form.rate) } : form;
    return { ...known, host: target?.host ?? form.host };
  }

  /**
   * Resume a run; at another host than before only once that is confirmed.
   * @param {import("./types.js").PastRun} row
   * @param {import("./dialog.js").StartSettings} settings
   * @param {Record<string, string>} form
   */
  async _goOn(row, settings, form) {
    const before = row.target?.host ?? "";
    if (!before || !settings.host || sameHost(before, settings.host)) return this._begin(settings, form);
    openDialog({
      title: "Send to another host than before?",
      text: otherHostText(row, settings.host),
      yes: "Send to the other host",
      doing: "Starting…",
      act: () => this._begin(settings, { ...form, traffic_other_host: "yes" }),
      after: () => byId("run-title").focus(),
    });
  }

  /**
   * @param {import("./dialog.js").StartSettings} settings
   * @param {Record<string, string>} form
   */
  async _begin(settings, form) {
    const wrong = invalidField(settings);
    if (wrong) throw new RefusedError(wrong.why);
    await swarm({ user_count: settings.users, spawn_rate: settings.rate, host: settings.host, ...form });
    await this._refresh();
  }
}

/**
 * Wait until a run that was stopped has its report, and the next start is possible.
 * @param {string} run
 */
async function untilEnded(run) {
  for (;;) {
    const { status, ended, ending, acts } = await get("live");
    if (status.run !== run) throw new RefusedError(`Another run has begun: ${status.run}.`);
    if (ended && !ending && !acts.start) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** @param {import("./types.js").Counts} counts */
function remainingText({ unsent, pending, leased, records }) {
  return `${count(unsent + pending + leased)} of ${count(records)} records are left.`;
}

/** @param {import("./types.js").InterruptedRun} interrupted */
function interruptedText({ run, state, ended, file, counts, target }) {
  const how = state === "failed" ? "was given up" : "was stopped";
  const parts = /** @type {const} */ (["delivered", "rejected", "in_doubt"]).filter((name) => counts[name] > 0);
  const outcomes = parts.map((name) => `${count(counts[name])} ${name.replace("_", " ")}`).join(", ");
  return [
    `Run ${run} of ${file} to ${target.host} ${how} at ${dateAndTime(ended)}:`,
    `${count(counts.settled)} of ${count(counts.records)} records were settled${outcomes && ` (${outcomes})`},`,
    `${count(counts.left)} are left. Resumed, it sends those alone. A new run sends all of them with new keys,`,
    "so that the API stores twice what it has.",
  ].join(" ");
}

/** @param {import("./types.js").PastRun} row */
function targetText({ target }) {
  if (!target) return "";
  const how = target.method ? `${target.method} ${target.path}` : "whole requests";
  return `It goes to ${target.host}, as before (${how}).`;
}

/**
 * @param {string} one
 * @param {string} other
 */
function sameHost(one, other) {
  const normalized = (/** @type {string} */ host) =>
    (URL.canParse(host) ? new URL(host).href : host).replace(/\/+$/, "");
  return normalized(one) === normalized(other);
}

/**
 * @param {import("./types.js").PastRun} row
 * @param {string} host
 */
function otherHostText({ run, target, counts }, host) {
  const settled = counts ? counts.delivered + counts.rejected + counts.in_doubt : 0;
  const what = settled ? `what is settled (${plural(settled, "record")})` : "what is settled";
  return [
    `Run ${run} went to ${target?.host}, and would go on to ${host}.`,
    `Another API has seen none of its keys: ${what} is not sent to it, and what is in doubt may be stored by both.`,
    "Go on if it is the same API at another address, or if that is what you want.",
  ].join(" ");
}

/** @param {import("./types.js").PastRun} row */
function resendText({ run, policy, counts }) {
  const unsent = counts?.unsent ?? 0;
  const rest = unsent > 0
    ? `The ${plural(unsent, "record")} that run ${run} had not sent yet go out, too.`
    : `Nothing else of run ${run} is sent.`;
  const only = "The run was at-most-once, so only the rejected ones are sent: one in doubt may have arrived.";
  return [KEYS, rest, ...(policy === "at-most-once" ? [only] : [])].join(" ");
}
