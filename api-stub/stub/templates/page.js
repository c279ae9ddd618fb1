// Updates the count on the page of messages, and offers newer ones. Asks again only after an answer.
"use strict";
const count = document.getElementById("stored");
const more = document.getElementById("new");
const shown = Number(count.dataset.count);

async function refresh() {
  try {
    const answer = await fetch("/?limit=1", { headers: { accept: "application/json" } });
    if (answer.ok) {
      const { stored } = await answer.json();
      count.textContent = stored.toLocaleString("en");
      more.hidden = stored <= shown;
      more.textContent = `${(stored - shown).toLocaleString("en")} more: show the newest`;
    }
  } catch {
    // The stub does not answer; the next request may reach it.
  }
  setTimeout(refresh, 2000);
}
setTimeout(refresh, 2000);
