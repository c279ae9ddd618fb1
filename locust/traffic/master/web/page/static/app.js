// Joins the views of the page to the master's answers.

import { Controls } from "./controls.js";
import { announce } from "./announce.js";
import { LoginError, RefusedError } from "./api.js";
import { prepare } from "./dialog.js";
import { ChartsView } from "./charts.js";
import { byId, setText, show } from "./dom.js";
import { EventsView } from "./events.js";
import { clock, plural } from "./format.js";
import { DeadLettersView } from "./dead_letters.js";
import { Poll } from "./poll.js";
import { RunView } from "./run.js";
import { RunsView, reportLinks } from "./runs.js";
import { StartForm } from "./start.js";
import { Timeline } from "./timeline.js";
import { WorkersView } from "./workers.js";

class Page {
  constructor() {
    this._timeline = new Timeline();
    this._events = new EventsView();
    this._charts = new ChartsView(this._timeline);
    this._letters = new DeadLettersView();
    const look = () => this._poll.now();
    this._start = new StartForm(look, (half, anew) => this._controls.askAboutHalfWay(half, anew));
    this._controls = new Controls(look, () => this._start.crew);
    this._runs = new RunsView({
      resume: (row) => this._controls.resume(row),
      again: (row) => this._controls.again(row),
      letters: (run) => void this._letters.pick(run),
    });
    this._run = new RunView();
    this._views = [this._run, new WorkersView(), this._controls, this._events, this._start];
    this._seen = ""; // the run and its state at the latest look at the list of runs
    this._lost = false;
    this._at = /** @type {Date | null} */ (null); // when the master last answered
    this._poll = new Poll(() => ({ event: this._events.next, ...this._timeline.known }), {
      answered: (live) => this._answered(live),
      silent: (seconds, error) => this._silent(seconds, error),
    });
    byId("letters-again").onclick = () => {
      const row = this._runs.of(this._letters.run);
      if (row) this._controls.again(row);
    };
  }

  begin() {
    prepare();
    prepareTheme();
    void this._poll.begin();
  }

  /** @param {import("./types.js").Live} live */
  _answered(live) {
    if (this._lost) announce("The master answers again.");
    this._lost = false;
    document.body.classList.remove("stale");
    show(byId("lost"), false);
    show(byId("as-of"), false);
    this._at = new Date();
    const changed = this._timeline.take(live.timeline);
    for (const view of this._views) view.update(live);
    this._charts.update(live, changed);
    if (live.status.state === "reading") return; // the file of the next run: nothing is known of that one yet
    this._letters.update(live);
    void this._followRuns(live);
  }

  /**
   * The list of runs is asked for when one begins or ends, and what it says of the present one is offered.
   * @param {import("./types.js").Live} live
   */
  async _followRuns({ status, ended: over, ending }) {
    const ended = over && !ending;
    const seen = `${status.run} ${ended} ${status.resumed?.length ?? 0}`;
    if (seen !== this._seen) {
      this._seen = seen;
      await this._runs.load();
    }
    const row = this._runs.of(status.run);
    const left = status.run === null && status.state === "ready" ? this._runs.left : null;
    this._run.offer(left);
    this._controls.offer(ended ? row : left);
    this._start.offerToLeave(this._runs.rows.some((one) => one.state === "cut off" || one.state === "unknown"));
    this._offerReport(ended ? status.run : null);
    const shown = this._runs.of(this._letters.run);
    show(byId("letters-again"), (shown?.resendable ?? 0) > 0 && (ended || status.run === null));
  }

  /** @param {string | null} run */
  _offerReport(run) {
    const place = byId("run-links");
    show(place, run !== null);
    if (run === null || place.dataset.run === run) return;
    place.dataset.run = run;
    place.replaceChildren("Delivery report: ", reportLinks(run));
  }

  /**
   * What is on the page is not live any more, and the page says so.
   * @param {number} seconds
   * @param {Error | null} error
   */
  _silent(seconds, error) {
    document.body.classList.add("stale");
    const login = error instanceof LoginError;
    const refused = error instanceof RefusedError ? ` It says: ${error.message}` : "";
    const what = login
      ? "Your session has ended; what is shown is from before."
      : `No answer from the master for ${plural(seconds, "second")}; trying again. What is shown is from before.`
        + refused;
    setText(byId("lost-text"), what);
    setText(byId("glance-state"), "no answer");
    for (const id of ["glance-workers", "glance-rate", "glance-settled"]) setText(byId(id), "–");
    show(byId("lost-login"), login);
    show(byId("lost"), true);
    setText(byId("as-of"), this._at ? `not live: as of ${clock(this._at.toISOString())}` : "");
    show(byId("as-of"), true);
    if (!this._lost) announce(login ? "Your session has ended." : "No answer from the master; trying again.");
    this._lost = true;
  }
}

/** The button of the theme; Locust's page reads the same choice. */
function prepareTheme() {
  const button = byId("theme");
  const told = () => button.setAttribute("aria-pressed", String(document.documentElement.dataset.theme === "dark"));
  document.addEventListener("themechange", told);
  button.addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    window.localStorage.setItem("theme", theme);
    document.dispatchEvent(new CustomEvent("themechosen"));
  });
  told();
}

new Page().begin();
