// Uploads a traffic file, chosen by the button or dropped. The master checks it before it is kept.

import { address, LoginError, refusal, RefusedError } from "./api.js";
import { announce } from "./announce.js";
import { showMessage } from "./buttons.js";
import { byId, inputOf, make, setText, show } from "./dom.js";
import { bytes, percent, plural } from "./format.js";

export class Upload {
  /**
   * @param {(file: {path: string}) => Promise<void>} done called with the file that the master has accepted
   * @param {() => Record<string, string>} reading how the file is read
   */
  constructor(done, reading) {
    this._done = done;
    this._reading = reading;
    this._request = /** @type {XMLHttpRequest | null} */ (null);
    this._checking = false;
    const [input, drop] = [inputOf("upload-file"), byId("drop")];
    byId("upload-choose").addEventListener("click", () => input.click());
    byId("upload-cancel").addEventListener("click", () => this._request?.abort());
    input.addEventListener("change", () => {
      this._take(input.files);
      input.value = ""; // so that the same file can be chosen again once it is corrected
    });
    this._listenToDrops(drop);
  }

  /**
   * Show how far the check of the file is.
   * @param {import("./types.js").LiveAnswer} live
   */
  update({ reading }) {
    if (!this._checking) return;
    setText(byId("upload-text"), reading ? `Checking: ${percent(reading.done, reading.of ?? 0)}` : "Checking…");
    if (reading?.of) byId("upload-bar", HTMLProgressElement).value = reading.done / reading.of;
  }

  /** @param {HTMLElement} drop */
  _listenToDrops(drop) {
    for (const name of /** @type {const} */ (["dragenter", "dragover"])) {
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this._take(event.dataTransfer?.files ?? null);
    });
    // Without this, a file dropped elsewhere would make the browser leave the page.
    for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
  }

  /** @param {FileList | null} files */
  _take(files) {
    if (!files?.length) return;
    if (this._request) this._fault(new Error("A file is on its way already; wait for it, or cancel it."));
    else if (files.length > 1) this._fault(new Error("Drop one file at a time."));
    else this._send(files[0]);
  }

  /** @param {File} file */
  _send(file) {
    const request = new XMLHttpRequest();
    this._request = request;
    show(byId("upload-faults"), false);
    showMessage(byId("file-said"), "");
    this._progress(`Uploading ${file.name}, ${bytes(file.size)}`, 0);
    request.upload.onprogress = ({ loaded, total }) => {
      const text = `Uploading ${file.name}: ${percent(loaded, total)} of ${bytes(total)}`;
      this._progress(text, loaded / Math.max(1, total));
    };
    request.upload.onload = () => {
      this._checking = true;
      this._progress("Checking…", null);
    };
    request.onloadend = () => void this._ended(request, file);
    const { traffic_file: _, host: __, ...reading } = this._reading();
    request.open("PUT", address(`files/${encodeURIComponent(file.name)}`, reading));
    request.send(file);
  }

  /** @param {string} text @param {number | null} share null if not known */
  _progress(text, share) {
    show(byId("upload-progress"), true);
    setText(byId("upload-text"), text);
    if (share === null) byId("upload-bar").removeAttribute("value");
    else byId("upload-bar", HTMLProgressElement).value = share;
  }

  /** @param {XMLHttpRequest} request @param {File} file */
  async _ended(request, file) {
    [this._request, this._checking] = [null, false];
    show(byId("upload-progress"), false);
    if (request.status === 201) {
      const kept = JSON.parse(request.responseText);
      await this._done(kept);
      showMessage(byId("file-said"), `${kept.name} is good: ${plural(kept.records, "record")}, ${kept.format}.`);
    } else if (request.status === 0) {
      showMessage(byId("file-said"), `${file.name} was not uploaded.`, true);
    } else if (request.status < 400) {
      this._fault(new LoginError(), file.name); // the redirect to the login was followed
    } else {
      this._fault(refusal(request.status, request.responseText), file.name);
    }
  }

  /**
   * Show the faults, each with its place, exactly as the master says them.
   * @param {Error | import("./api.js").RefusedError} error
   * @param {string} [name]
   */
  _fault(error, name) {
    const faults = byId("upload-faults");
    const found = error instanceof RefusedError ? error.findings : [];
    const findings = found.length ? found : [error.message];
    const title = name ? `${name} was not taken:` : "Not uploaded:";
    const rows = findings.map((finding) => make("li", {}, finding));
    faults.replaceChildren(make("p", {}, title), make("ul", {}, ...rows));
    show(faults, true);
    faults.focus();
    announce(`${title} ${plural(findings.length, "fault")}.`);
  }
}
