// The charts. Plotly is large, so it is loaded after the page, and only once there is a run.

import { address } from "./api.js";
import { byId, setText, show } from "./dom.js";
import { count, duration, rate } from "./format.js";

const CONFIG = { displayModeBar: false, responsive: true, showTips: false, doubleClick: false, staticPlot: false };
const SPEAK_MS = 5_000;

export class ChartsView {
  /** @param {import("./timeline.js").Timeline} timeline */
  constructor(timeline) {
    this._timeline = timeline;
    this._plotly = /** @type {Promise<any> | null} */ (null);
    this._spoken = -Infinity;
    this._state = "";
    this._paced = false;
    document.addEventListener("themechange", () => void this._draw());
  }

  /**
   * @param {import("./types.js").LiveAnswer} live
   * @param {boolean} changed whether the timeline has anything new
   */
  update({ status }, changed) {
    const { seconds } = this._timeline.curves;
    show(byId("charts-row"), seconds.length > 1);
    this._paced = Boolean(status.pace);
    show(byId("chart-pace-figure"), this._paced);
    if (seconds.length > 1) this._speak(status);
    if (seconds.length > 1 && changed) void this._draw();
  }

  /**
   * Describe the charts in a sentence, for people who do not see them; every few seconds, and when the state changes.
   * @param {import("./types.js").Status} status
   */
  _speak(status) {
    if (performance.now() - this._spoken < SPEAK_MS && status.state === this._state) return;
    [this._spoken, this._state] = [performance.now(), status.state];
    const { seconds, rate: rates, remaining } = this._timeline.curves;
    const most = rate(Math.max(...rates));
    const left = count(remaining[remaining.length - 1]);
    const span = duration(seconds[seconds.length - 1] - seconds[0]);
    const rest = `${left} of ${count(remaining[0])} remaining`;
    setText(byId("charts-said"), `In the first ${span}: at most ${most} records settled a second; ${rest}.`);
  }

  async _draw() {
    if (this._timeline.curves.seconds.length < 2) return;
    let plotly;
    try {
      plotly = await (this._plotly ??= load());
    } catch {
      setText(byId("charts-said"), "The charts could not be loaded. Load the page again to try once more.");
      show(byId("charts-row"), false);
      return;
    }
    const { seconds, rate: rates, remaining, due, sent, p50, p99 } = this._timeline.curves;
    const style = getComputedStyle(document.documentElement);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const [line, rest] = [colour("--delivered"), colour("--leased")];
    plotly.react("chart-rate", [curve(seconds, rates, line)], layout(colour), CONFIG);
    plotly.react("chart-remaining", [curve(seconds, remaining, rest)], layout(colour), CONFIG);
    const thin = { fill: "none", line: { color: colour("--text"), width: 1 } };
    const most = { ...curve(seconds, p99, colour("--text")), ...thin };
    plotly.react("chart-times", [curve(seconds, p50, line), most], layout(colour), CONFIG);
    if (!this._paced) return;
    const planned = { ...curve(seconds, due, colour("--text")), ...thin };
    plotly.react("chart-pace", [curve(seconds, sent, line), planned], layout(colour), CONFIG);
  }
}

/** @returns {Promise<any>} */
function load() {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address("static/plotly.min.js");
    script.onload = () => resolve(/** @type {any} */ (window).Plotly);
    script.onerror = reject;
    document.head.append(script);
  });
}

/**
 * @param {number[]} x seconds
 * @param {(number | null)[]} y
 * @param {string} colour
 */
function curve(x, y, colour) {
  const line = { color: colour, width: 2 };
  const hovertemplate = "%{y:,.4~r} at %{x:.0f} s<extra></extra>";
  return { x, y, type: "scatter", mode: "lines", line, fill: "tozeroy", fillcolor: `${colour}22`, hovertemplate };
}

/** @param {(name: string) => string} colour of a custom property */
function layout(colour) {
  const line = colour("--line");
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, fixedrange: true };
  return {
    height: 240,
    margin: { l: 56, r: 16, t: 8, b: 36 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "Roboto, Helvetica, Arial, sans-serif", size: 12, color: colour("--text-soft") },
    xaxis: { ...axis, rangemode: "tozero", ticksuffix: " s" },
    yaxis: { ...axis, rangemode: "tozero", separatethousands: true },
    hoverlabel: { bgcolor: colour("--paper"), font: { color: colour("--text") } },
    showlegend: false,
    uirevision: "same",
  };
}
