// The keys of the pages on which people judge a sample or a comparison, and the next picture, loaded ahead.
"use strict";

const ahead = document.querySelector("[data-ahead]");
if (ahead) new Image().src = ahead.dataset.ahead;

const press = (id) => () => document.getElementById(id)?.click();
const ACTIONS = {
  n: press("nothing"),
  o: press("object"),
  h: press("mistake"),
  p: press("previous"),
  "+": press("zoom-in"),
  "-": press("zoom-out"),
  m: () => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "b", bubbles: true })), // see draw.js
};

let sent = false;
document.getElementById("mark").addEventListener("submit", (event) => {
  if (sent) event.preventDefault(); // a key that is held down must not judge the next picture, too
  sent = true;
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest?.("input:not([type=checkbox]), select, textarea")) return;
  const action = ACTIONS[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
});
