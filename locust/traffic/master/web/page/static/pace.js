// How well a run keeps its pace: what was planned and sent, how late, and whether the users are enough.

import { byId, setText, show } from "./dom.js";
import { count, percent, rate, time } from "./format.js";
import { DefinitionList } from "./definition_list.js";

export class PaceView {
  constructor() {
    this._figures = new DefinitionList(byId("pace-figures"));
  }

  /** @param {import("./types.js").LiveAnswer} live */
  update({ status }) {
    const { pace, api_waits: waits } = status;
    show(byId("pace"), Boolean(pace || waits));
    if (pace) this._showPace(pace, status.users ?? 0);
    for (const name of ["planned", "sent", "late", "over", "service", "busy"]) this._figures.show(name, Boolean(pace));
    this._showWaits(waits ?? null);
    const short = Boolean(pace?.short_of_users) && !status.ended;
    setText(byId("pace-short"), short && pace ? shortText(pace, status.users ?? 0) : "");
    show(byId("pace-short"), short);
  }

  /**
   * @param {import("./types.js").Pace} pace
   * @param {number} users
   */
  _showPace({ profile, arrivals, rate: sent, late, service, users_busy: busy }, users) {
    this._figures.put("planned", "Planned rate", `${profile}, ${arrivals}`);
    this._figures.put("sent", "Sent a second", sent === null ? "–" : `${rate(sent)} /s`);
    this._figures.put("late", "Late (half, 99 %)", `${time(late.p50)}, ${time(late.p99)}`);
    this._figures.put("over", "Over 10 ms late", count(late.over_10ms));
    this._figures.put("service", "Answers (half, 99 %)", `${time(service.p50)}, ${time(service.p99)}`);
    const needed = busy.needed === null ? "" : `, ${count(busy.needed)} needed`;
    this._figures.put("busy", "Users busy (99 %)", `${count(busy.p99)} of ${count(users)}${needed}`);
  }

  /** @param {import("./types.js").ApiWaits | null} waits */
  _showWaits(waits) {
    const slowed = waits?.slowed ?? null;
    const text = waits ? `${count(waits.times)} times, ${rate(waits.s)} s, after ${count(waits.answers)} answers` : "";
    this._figures.put("waits", "Waited for the API", text);
    this._figures.show("waits", Boolean(waits && waits.times > 0));
    const present = slowed ? `to ${percent(slowed.share, 1)}, after ${count(slowed.answers)} answers 429` : "";
    this._figures.put("slowed", "Slowed by the API", present);
    this._figures.show("slowed", slowed !== null);
  }
}

/**
 * @param {import("./types.js").Pace} pace
 * @param {number} users
 */
function shortText({ users_busy: busy, service }, users) {
  const needed = busy.needed ?? 0;
  const why = needed > users
    ? `The rate takes ${count(needed)} at the API's present speed (99 of 100 answers within ${time(service.p99)}).`
    : "All of them wait for the API's answers.";
  return `Too few users: records are late because none of the ${count(users)} is free. ${why}`;
}
