// The chooser of the traffic file: one of the master's folder, one that was uploaded, or another path.

import { get, removeFile } from "./api.js";
import { openDialog } from "./dialog.js";
import { showMessage } from "./buttons.js";
import { byId, inputOf, make, show } from "./dom.js";
import { bytes, plural } from "./format.js";

const OTHER = "";

export class FileChooser {
  /** @param {() => void} onChosen called when another file is chosen */
  constructor(onChosen) {
    this._onChosen = onChosen;
    this._select = byId("file", HTMLSelectElement);
    this._files = /** @type {import("./types.js").TrafficFile[]} */ ([]);
    this._preset = "";
    this._requests = 0;
    this._select.addEventListener("change", () => this._chosen());
    byId("file-delete").addEventListener("click", () => this._askToDelete());
  }

  /** The chosen path. */
  get value() {
    return this._select.value === OTHER ? inputOf("file-other").value.trim() : this._select.value;
  }

  /**
   * Load the list of files. The choice stays.
   * @param {string} [path] the path to choose instead
   */
  async load(path) {
    const request = (this._requests += 1);
    let files = [];
    try {
      files = (await get("files")).files;
    } catch (error) {
      showMessage(byId("file-said"), `The files cannot be listed: ${/** @type {Error} */ (error).message}`, true);
    }
    if (request !== this._requests && path === undefined) return; // a later request is on its way, or answered
    this._files = files;
    const wanted = path ?? this._select.value; // read now: a person may have chosen meanwhile
    const unlisted = wanted !== OTHER && !this._files.some((file) => file.path === wanted);
    const extra = unlisted && wanted === this._preset ? [make("option", { value: wanted }, wanted)] : [];
    const listed = this._files.map((file) => make("option", { value: file.path }, label(file)));
    const other = make("option", { value: OTHER }, "Another path on the master…");
    this._select.replaceChildren(...extra, ...listed, other);
    this._choose(wanted);
    this._chosen();
  }

  /** @param {string} path the one that the options name */
  preset(path) {
    this._preset = path;
    return this.load(path);
  }

  /** @param {string} path */
  _choose(path) {
    this._select.value = path;
    if (this._select.value === path) return;
    this._select.value = OTHER;
    inputOf("file-other").value = path;
  }

  _chosen() {
    const file = this._files.find((one) => one.path === this._select.value);
    show(byId("file-other-field"), this._select.value === OTHER);
    show(byId("file-delete"), Boolean(file?.uploaded));
    this._onChosen();
  }

  _askToDelete() {
    const file = this._files.find((one) => one.path === this._select.value);
    if (!file) return;
    openDialog({
      title: `Delete ${file.name}?`,
      text: "The uploaded file is deleted on the master. Runs of it that are not finished can then not be resumed.",
      yes: "Delete",
      doing: "Deleting…",
      act: async () => {
        const { traffic_file: offered } = await removeFile(file.name);
        await this.preset(offered);
        showMessage(byId("file-said"), `${file.name} is deleted.`);
      },
      after: () => this._select.focus(),
    });
  }
}

/** @param {import("./types.js").TrafficFile} file */
function label(file) {
  const records = file.records === null || file.records === undefined ? "" : `${plural(file.records, "record")}, `;
  const [name, how] = file.uploaded ? [file.name, ", uploaded"] : [file.path, ""];
  return `${name} (${records}${bytes(file.bytes)}${how})`;
}
