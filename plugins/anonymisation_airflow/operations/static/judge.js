// The keys of the pages on which people judge a sample or a comparison, and the next picture, loaded ahead.
"use strict";

const ahead = document.querySelector("[data-ahead]");
if (ahead) new Image().src = ahead.dataset.ahead;

// A key that is pressed twice must not judge a picture that nobody has seen yet: it counts from some time after the
// picture is on the screen. One that cannot be shown is judged with the pointer.
const UNSEEN = 300; // milliseconds; a person needs longer to recognise anything
const picture = document.getElementById("picture");
let seen = Infinity;
const appeared = () => { if (picture.naturalWidth) seen = performance.now() + UNSEEN; };
if (picture.complete) appeared();
else picture.addEventListener("load", appeared);

const press = (id) => () => document.getElementById(id)?.click();
const judge = (id) => () => { if (performance.now() >= seen) press(id)(); };
const ACTIONS = {
  n: judge("nothing"),
  o: judge("object"),
  h: press("mistake"),
  p: press("previous"),
  f: press("forward"),
  "+": press("zoom-in"),
  "-": press("zoom-out"),
  m: () => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "b", bubbles: true })), // see draw.js
};

let sent = false;
document.getElementById("mark").addEventListener("submit", (event) => {
  if (sent) event.preventDefault(); // a key that is held down must not judge the next picture, too
  sent = true;
});

// The browser's own way back may show the page as it was left, and it is to be judged again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) sent = false;
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest?.("input:not([type=checkbox]), select, textarea")) return;
  const action = ACTIONS[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
});
