"use strict";
// Shows the page anew every five seconds, and says so when that fails.
let missed = 0;
async function look() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const text = await answer.text();
    const page = new DOMParser().parseFromString(text, "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.title = page.title;
    missed = 0;
  } catch {
    missed += 1;
  }
  document.body.classList.toggle("stale", missed > 1);
}
setInterval(() => { if (!document.hidden) look(); }, 5000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
