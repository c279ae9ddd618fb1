// Keeps the count of the newest page alive, and says when there is more to see. It asks again only after an answer.
"use strict";
const count = document.getElementById("stored");
const more = document.getElementById("new");
const shown = Number(count.dataset.count);

async function look() {
  try {
    const answer = await fetch("/?limit=1", { headers: { accept: "application/json" } });
    if (answer.ok) {
      const { stored } = await answer.json();
      count.textContent = stored.toLocaleString("en");
      more.hidden = stored <= shown;
      more.textContent = `${(stored - shown).toLocaleString("en")} more: show the newest`;
    }
  } catch {
    // The stub is away; the next look may find it.
  }
  setTimeout(look, 2000);
}
setTimeout(look, 2000);
