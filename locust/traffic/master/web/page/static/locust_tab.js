// In Locust's own page: a link to the Traffic page, in its tab strip if there is one, else in its header.
// React redraws that page at any time, so the link is put back whenever it is missing.

const PAGE = new URL("../../traffic", import.meta.url).href;
const ID = "traffic-link";
const NOTE = "traffic-note";

/** @returns {HTMLAnchorElement} */
function link() {
  const found = document.getElementById(ID);
  if (found instanceof HTMLAnchorElement) return found;
  const made = document.createElement("a");
  made.id = ID;
  made.href = PAGE;
  made.textContent = "Traffic";
  return made;
}

/**
 * As one more tab, which looks like Locust's others.
 * @param {HTMLAnchorElement} made
 * @param {Element} tabs
 */
function asTab(made, tabs) {
  if (tabs.lastElementChild === made) return;
  const other = tabs.querySelector('[role="tab"]:not(.Mui-selected):not(a)');
  made.className = other?.className ?? "";
  made.setAttribute("role", "tab");
  made.setAttribute("aria-selected", "false");
  made.tabIndex = 0; // Locust's arrow keys skip elements that React does not know
  made.style.cssText = "text-decoration:none";
  tabs.append(made);
}

/**
 * @param {HTMLAnchorElement} made
 * @param {Element} logo
 */
function inHeader(made, logo) {
  if (logo.nextElementSibling === made) return;
  made.className = "";
  made.removeAttribute("role");
  made.removeAttribute("aria-selected");
  made.removeAttribute("tabindex");
  made.style.cssText = "color:inherit;font-weight:500;font-size:.875rem;letter-spacing:.02857em;"
    + "text-transform:uppercase;text-decoration:none;margin:0 auto 0 24px;padding:8px 12px;"
    + "border:1px solid currentColor;border-radius:4px";
  logo.after(made);
}

/** Above Locust's own form of a start: there is one that shows what will be sent. */
function beside() {
  const form = document.querySelector("form");
  const starts = form?.querySelector('input[name="userCount"], input[name="user_count"]');
  if (!form || !starts || document.getElementById(NOTE)) return;
  const note = document.createElement("p");
  note.id = NOTE;
  note.style.cssText = "margin:0 0 16px;font:inherit";
  const to = document.createElement("a");
  to.href = PAGE;
  to.textContent = "the Traffic page";
  to.style.cssText = "color:inherit";
  note.append("Start on ", to, ": it shows the first request before anything is sent, and takes uploads.");
  form.prepend(note);
}

function place() {
  beside();
  const tabs = document.querySelector('main [role="tablist"]');
  const logo = document.querySelector("header a:not(#traffic-link)");
  if (tabs) asTab(link(), tabs);
  else if (logo) inHeader(link(), logo);
}

new MutationObserver(place).observe(document.documentElement, { childList: true, subtree: true });
place();
