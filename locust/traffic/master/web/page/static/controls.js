// The acts on a run: pause, go on, stop, resume it, send its dead letters again.

import { act, RefusedError, swarm } from "./api.js";
import { ask } from "./dialog.js";
import { allow, onPress, say } from "./buttons.js";
import { byId, show } from "./dom.js";
import { count, dateAndTime, plural } from "./format.js";
import { fault } from "./start.js";

const ACTS = /** @type {const} */ ([
  { id: "pause", route: "pause", name: "pause", doing: "Pausing…" },
  { id: "go-on", route: "go-on", name: "go_on", doing: "Going on…" },
  { id: "stop", route: "stop", name: "stop", doing: "Stopping…" },
]);

export class Controls {
  /**
   * @param {() => Promise<void>} look have the master asked again
   * @param {() => import("./dialog.js").Crew} crew the users and the host of the form
   */
  constructor(look, crew) {
    this._look = look;
    this._crew = crew;
    const said = byId("acts-said");
    for (const { id, route, doing } of ACTS) {
      onPress(byId(`act-${id}`), doing, () => this._do(route), (why) => say(said, why, true));
    }
  }

  /** @param {import("./types.js").Live} live */
  update({ acts }) {
    for (const { id, name } of ACTS) allow(byId(`act-${id}`), acts[name] ?? "", byId(`why-${id}`));
  }

  /**
   * Offer what can be done with the latest run once it has ended.
   * @param {import("./types.js").PastRun | null} row its row among the past runs; null while it goes on
   */
  offer(row) {
    const resume = byId("act-resume");
    show(resume, Boolean(row?.resumable));
    resume.onclick = () => row && this.resume(row);
  }

  /** @param {"pause" | "go-on" | "stop"} route */
  async _do(route) {
    const said = byId("acts-said");
    say(said, "");
    try {
      await act(route);
    } catch (error) {
      say(said, /** @type {Error} */ (error).message, true);
    }
    await this._look();
  }

  /** @param {import("./types.js").PastRun} row */
  resume(row) {
    const meaning = "It goes on with its own file, order, seed and policy; what was delivered stays delivered.";
    ask({
      title: `Resume run ${row.run}?`,
      text: [row.counts && whatIsLeft(row.counts), whereTo(row), meaning].filter(Boolean).join(" "),
      yes: "Resume",
      doing: "Resuming…",
      crew: this._crewOf(row),
      act: (crew) => this._goOn(row, crew, { traffic_resume: row.run, traffic_resend: "" }),
      after: () => byId("run-title").focus(),
    });
  }

  /** @param {import("./types.js").PastRun} row */
  again(row) {
    ask({
      title: `Send ${plural(row.resendable ?? 0, "dead letter")} again?`,
      text: `${whereTo(row)} ${whatAgainMeans(row)}`.trim(),
      yes: "Send again",
      doing: "Sending…",
      crew: this._crewOf(row),
      act: (crew) => this._goOn(row, crew, { traffic_resume: row.run, traffic_resend: "dead-letters" }),
      after: () => byId("run-title").focus(),
    });
  }

  /**
   * The file that is to be sent has been sent in part, by a run that was stopped: ask what is wanted.
   * @param {import("./types.js").HalfWay} half
   * @param {() => Promise<void>} anew start another run all the same
   */
  askAboutHalfWay(half, anew) {
    const { users, rate } = this._crew();
    const crew = { users, rate, host: half.target.host };
    ask({
      title: "Some of this file has been sent already",
      text: whatHalfWayMeans(half),
      yes: "Resume",
      doing: "Resuming…",
      other: { text: "Start anew", doing: "Starting…", act: anew },
      act: () => this._begin(crew, { traffic_resume: half.run, traffic_resend: "" }),
      after: () => byId("run-title").focus(),
    });
  }

  /**
   * The users and the host that a run had; the form's, where that is not known.
   * @param {import("./types.js").PastRun} row
   */
  _crewOf({ target, users, spawn_rate: rate }) {
    const form = this._crew();
    const had = users ? { users: String(users), rate: String(rate || form.rate) } : form;
    return { ...had, host: target?.host ?? form.host };
  }

  /**
   * Have a run go on; at another host than it went to only once that is confirmed.
   * @param {import("./types.js").PastRun} row
   * @param {import("./dialog.js").Crew} crew
   * @param {Record<string, string>} form
   */
  async _goOn(row, crew, form) {
    const before = row.target?.host ?? "";
    if (!before || !crew.host || sameHost(before, crew.host)) return this._begin(crew, form);
    ask({
      title: "Send to another host than before?",
      text: whatAnotherHostMeans(row, crew.host),
      yes: "Send to the other host",
      doing: "Starting…",
      act: () => this._begin(crew, { ...form, traffic_other_host: "yes" }),
      after: () => byId("run-title").focus(),
    });
  }

  /**
   * @param {import("./dialog.js").Crew} crew
   * @param {Record<string, string>} form
   */
  async _begin(crew, form) {
    const wrong = fault(crew);
    if (wrong) throw new RefusedError(wrong.why);
    await swarm({ user_count: crew.users, spawn_rate: crew.rate, host: crew.host, ...form });
    await this._look();
  }
}

/** @param {import("./types.js").Counts} counts */
function whatIsLeft({ unsent, pending, leased, records }) {
  return `${count(unsent + pending + leased)} of ${count(records)} records are left.`;
}

/** @param {import("./types.js").HalfWay} half */
function whatHalfWayMeans({ run, state, ended, file, counts, target }) {
  const how = state === "failed" ? "was given up" : "was stopped";
  const parts = /** @type {const} */ (["delivered", "rejected", "in_doubt"]).filter((name) => counts[name] > 0);
  const told = parts.map((name) => `${count(counts[name])} ${name.replace("_", " ")}`).join(", ");
  return [
    `Run ${run} of ${file} to ${target.host} ${how} at ${dateAndTime(ended)}:`,
    `${count(counts.settled)} of ${count(counts.records)} records were settled${told && ` (${told})`},`,
    `${count(counts.left)} are left. Resumed, it sends those alone. A new run sends all of them with new keys,`,
    "so that the API stores twice what it has.",
  ].join(" ");
}

/** @param {import("./types.js").PastRun} row */
function whereTo({ target }) {
  return target ? `It goes to ${target.host}, as before (${target.method} ${target.path}).` : "";
}

/**
 * @param {string} one
 * @param {string} other
 */
function sameHost(one, other) {
  const plain = (/** @type {string} */ host) => (URL.canParse(host) ? new URL(host).href : host).replace(/\/+$/, "");
  return plain(one) === plain(other);
}

/**
 * @param {import("./types.js").PastRun} row
 * @param {string} host
 */
function whatAnotherHostMeans({ run, target, counts }, host) {
  const settled = counts ? counts.delivered + counts.rejected + counts.in_doubt : 0;
  const what = settled ? `what is settled (${plural(settled, "record")})` : "what is settled";
  return [
    `Run ${run} went to ${target?.host}, and would go on to ${host}.`,
    `Another API has seen none of its keys: ${what} is not sent to it, and what is in doubt may be stored by both.`,
    "Go on if it is the same API at another address, or if that is what you want.",
  ].join(" ");
}

/** @param {import("./types.js").PastRun} row */
function whatAgainMeans({ run, policy, counts }) {
  const keys = "They are sent with the same keys as before: an API that honours the Idempotency-Key stores none twice.";
  const unsent = counts?.unsent ?? 0;
  const rest = unsent > 0
    ? `The ${plural(unsent, "record")} that run ${run} had not sent yet go out, too.`
    : `Nothing else of run ${run} is sent.`;
  const only = "The run was at-most-once, so only the rejected ones are sent: one in doubt may have arrived.";
  return [keys, rest, ...(policy === "at-most-once" ? [only] : [])].join(" ");
}
