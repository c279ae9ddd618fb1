// Joins the views of the page to the master's answers.

import { ChecksView } from "./checks.js";
import { Controls } from "./controls.js";
import { announce } from "./announce.js";
import { LoginError, RefusedError } from "./api.js";
import { prepareDialog } from "./dialog.js";
import { ChartsView } from "./charts.js";
import { byId, setText, show } from "./dom.js";
import { EventsView } from "./events.js";
import { clock, count, plural } from "./format.js";
import { DeadLettersView } from "./dead_letters.js";
import { PaceView } from "./pace.js";
import { Poll } from "./poll.js";
import { RunView } from "./run.js";
import { RunsView, reportLinks } from "./runs.js";
import { StartForm } from "./start.js";
import { Timeline } from "./timeline.js";
import { TimingsView } from "./timings.js";
import { WorkersView } from "./workers.js";

class Page {
  constructor() {
    this._timeline = new Timeline();
    this._events = new EventsView();
    this._charts = new ChartsView(this._timeline);
    this._letters = new DeadLettersView(() => this._offerLetters());
    const refresh = () => this._poll.now();
    this._start = new StartForm(refresh, (run, startAgain) => this._controls.askAboutInterrupted(run, startAgain));
    this._controls = new Controls(refresh, () => this._start.settings);
    this._runs = new RunsView({
      resume: (row) => this._controls.resume(row),
      resend: (row) => this._controls.resend(row, null),
      letters: (run) => void this._letters.showRun(run),
    });
    this._run = new RunView();
    this._views = [this._run, new PaceView(), new ChecksView(), new WorkersView(), new TimingsView(), this._controls, this._events, this._start];
    this._loadedFor = ""; // the run and its state when the list of runs was last loaded
    this._lost = false;
    this._mayResend = false; // no run is under way
    this._pausedRun = /** @type {string | null} */ (null); // a live run that waits for a person, and has dead letters
    this._answeredAt = /** @type {Date | null} */ (null); // when the master last answered
    this._poll = new Poll(() => ({ event: this._events.next, ...this._timeline.known }), {
      answered: (live) => this._answered(live),
      silent: (seconds, error) => this._showLost(seconds, error),
    });
    byId("letters-again").onclick = () => {
      const { run, group } = this._letters;
      const row = this._runs.of(run);
      if (row && run === this._pausedRun) this._controls.stopAndResend(row, group);
      else if (row) this._controls.resend(row, group);
    };
  }

  begin() {
    prepareDialog();
    prepareTheme();
    void this._poll.begin();
  }

  /** @param {import("./types.js").LiveAnswer} live */
  _answered(live) {
    if (this._lost) announce("The master answers again.");
    this._lost = false;
    document.body.classList.remove("stale");
    show(byId("lost"), false);
    show(byId("as-of"), false);
    this._answeredAt = new Date();
    const changed = this._timeline.take(live.timeline);
    for (const view of this._views) view.update(live);
    this._charts.update(live, changed);
    if (live.status.state === "reading") return; // the file of the next run is being read: the run does not exist yet
    this._letters.update(live);
    void this._followRuns(live);
  }

  /**
   * Load the list of runs when one begins or ends, and offer what it allows for the present one.
   * @param {import("./types.js").LiveAnswer} live
   */
  async _followRuns({ status, ended: over, ending, dead_letters: dead }) {
    const ended = over && !ending;
    const loadedFor = `${status.run} ${ended} ${status.resumed?.length ?? 0}`;
    if (loadedFor !== this._loadedFor) {
      this._loadedFor = loadedFor;
      if (!(await this._runs.load())) this._loadedFor = ""; // the next answer asks again
    }
    const row = this._runs.of(status.run);
    const resumable = status.run === null && status.state === "ready" ? this._runs.resumable : null;
    this._run.offer(resumable);
    this._controls.offer(ended ? row : resumable);
    this._start.offerToLeave(this._runs.rows.some((one) => one.state === "cut off" || one.state === "unknown"));
    this._offerReport(ended ? status.run : null, status.results ?? null);
    this._mayResend = ended || status.run === null;
    this._pausedRun = status.paused_by_person && dead > 0 ? status.run : null;
    this._offerLetters();
  }

  /** Offer to send the dead letters that are shown again, if that is possible: once the run is over, or paused. */
  _offerLetters() {
    const { run, group } = this._letters;
    const paused = run !== null && run === this._pausedRun;
    const which = group ? `these ${count(group.count)}` : "them";
    setText(byId("letters-again"), paused ? `Stop, and send ${which} again` : `Send ${which} again`);
    show(byId("letters-again"), paused || (this._mayResend && (this._runs.of(run)?.resendable ?? 0) > 0));
  }

  /**
   * @param {string | null} run
   * @param {import("./types.js").Results | null} results
   */
  _offerReport(run, results) {
    const place = byId("run-links");
    show(place, run !== null);
    if (run === null || place.dataset.run === run) return;
    place.dataset.run = run;
    place.replaceChildren("Delivery report: ", reportLinks(run, results));
  }

  /**
   * Say that the page is no longer live: the master does not answer.
   * @param {number} seconds
   * @param {Error | null} error
   */
  _showLost(seconds, error) {
    document.body.classList.add("stale");
    const login = error instanceof LoginError;
    const refused = error instanceof RefusedError ? ` It says: ${error.message}` : "";
    const text = login
      ? "Your session has ended; what is shown is from before."
      : `No answer from the master for ${plural(seconds, "second")}; trying again. What is shown is from before.`
        + refused;
    setText(byId("lost-text"), text);
    setText(byId("glance-state"), "no answer");
    for (const id of ["glance-workers", "glance-rate", "glance-settled"]) setText(byId(id), "–");
    show(byId("lost-login"), login);
    show(byId("lost"), true);
    setText(byId("as-of"), this._answeredAt ? `not live: as of ${clock(this._answeredAt.toISOString())}` : "");
    show(byId("as-of"), true);
    if (!this._lost) announce(login ? "Your session has ended." : "No answer from the master; trying again.");
    this._lost = true;
  }
}

/** Make the button of the theme work. Locust's page reads the same choice. */
function prepareTheme() {
  const button = byId("theme");
  const isDark = () => document.documentElement.dataset.theme === "dark";
  const showChoice = () => button.setAttribute("aria-pressed", String(isDark()));
  document.addEventListener("themechange", showChoice);
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    window.localStorage.setItem("theme", theme);
    document.dispatchEvent(new CustomEvent("themechosen"));
  });
  showChoice();
}

new Page().begin();
