// What a start would send: what is known of the chosen file, and its first request, before anything is sent.

import { LostError, preview, RefusedError } from "./api.js";
import { byId, make, setText, show } from "./dom.js";
import { dateAndTime, plural } from "./format.js";

const WAIT_MS = 400; // after the latest change

export class Preview {
  constructor() {
    this._asked = "";
    this._timer = 0;
    this._latest = 0;
    this.lost = false; // whether the latest request had no answer
  }

  /**
   * Show what a form would send, soon.
   * @param {Record<string, string>} form
   */
  show(form) {
    const asked = JSON.stringify(form);
    if (asked === this._asked) return;
    this._asked = asked;
    clearTimeout(this._timer);
    this._timer = setTimeout(() => void this._load(form), WAIT_MS);
  }

  /** Ask again the next time, though the form is the same: the file may have changed. */
  forget() {
    this._asked = "";
  }

  /** @param {Record<string, string>} form */
  async _load(form) {
    const number = (this._latest += 1);
    this.lost = false;
    if (!form.traffic_file) return this._clear();
    show(byId("preview"), true);
    setText(byId("preview-facts"), "Reading the file…");
    let found;
    try {
      found = await preview(form);
    } catch (error) {
      if (number !== this._latest) return;
      this.lost = error instanceof LostError;
      if (this.lost) this.forget();
      this._refuse(/** @type {Error} */ (error));
      return;
    }
    if (number === this._latest) this._fill(found);
  }

  _clear() {
    show(byId("preview"), false);
  }

  /** @param {Error} error */
  _refuse(error) {
    const findings = error instanceof RefusedError ? error.findings : [];
    setText(byId("preview-facts"), findings.length > 1 ? "The file cannot be sent:" : error.message);
    byId("preview-facts").classList.add("bad");
    const rows = findings.length > 1 ? findings : [];
    byId("preview-notes").replaceChildren(...rows.map((one) => make("li", {}, one)));
    show(byId("preview-request"), false);
  }

  /** @param {import("./types.js").FilePreview} found */
  _fill(found) {
    const facts = [plural(found.records, "record"), found.format, `last written ${dateAndTime(found.modified)}`];
    setText(byId("preview-facts"), `${facts.join(", ")}. ${found.digest}`);
    byId("preview-facts").classList.remove("bad");
    const types = found.types.map(([column, kind]) => `${column} ${kind}`).join(", ");
    const notes = [...found.warnings, ...(types ? [`Types: ${types}`] : [])];
    byId("preview-notes").replaceChildren(...notes.map((one) => make("li", {}, one)));
    setText(byId("preview-text"), requestText(found.request));
    show(byId("preview-request"), true);
  }
}

/**
 * The request as it stands on the wire.
 * @param {import("./types.js").FirstRequest} request
 */
function requestText(request) {
  const head = [`${request.method} ${request.url}`, ...request.headers.map(([name, value]) => `${name}: ${value}`)];
  if (request.header_file) head.push(`(and the headers of ${request.header_file}, which each worker reads)`);
  if (!request.bytes) return head.join("\n");
  return [...head, "", request.body ?? `(${request.bytes} bytes that are no text)`].join("\n");
}
