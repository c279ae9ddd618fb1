// The acts on a run: pause, go on, stop, resume it, send its dead letters again.

import { act, RefusedError, swarm } from "./api.js";
import { ask } from "./ask.js";
import { allow, onPress, say } from "./busy.js";
import { byId, show } from "./dom.js";
import { count, plural } from "./format.js";
import { fault } from "./start.js";

const ACTS = /** @type {const} */ ([
  { id: "pause", route: "pause", name: "pause", doing: "Pausing…" },
  { id: "go-on", route: "go-on", name: "go_on", doing: "Going on…" },
  { id: "stop", route: "stop", name: "stop", doing: "Stopping…" },
]);

export class Acts {
  /**
   * @param {() => Promise<void>} look have the master asked again
   * @param {() => import("./ask.js").Crew} crew the users and the host of the form
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
      text: row.counts ? `${whatIsLeft(row.counts)} ${meaning}` : meaning,
      yes: "Resume",
      doing: "Resuming…",
      crew: this._crew(),
      act: (crew) => this._begin(crew, { traffic_resume: row.run, traffic_resend: "" }),
      after: () => byId("run-title").focus(),
    });
  }

  /** @param {import("./types.js").PastRun} row */
  again(row) {
    ask({
      title: `Send ${plural(row.resendable ?? 0, "dead letter")} again?`,
      text: whatAgainMeans(row),
      yes: "Send again",
      doing: "Sending…",
      crew: this._crew(),
      act: (crew) => this._begin(crew, { traffic_resume: row.run, traffic_resend: "dead-letters" }),
      after: () => byId("run-title").focus(),
    });
  }

  /**
   * @param {import("./ask.js").Crew} crew
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
