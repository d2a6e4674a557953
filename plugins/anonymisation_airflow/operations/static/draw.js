// The layers of a picture, the zoom, and the box that a reviewer draws with the pointer, the keyboard or the form's fields.
// The fields always hold the values to send: left, top, right and bottom in percent of the picture as shown.
"use strict";

const EDGES = ["left", "top", "right", "bottom"];
const STEP = 0.5; // percent that one key press moves the box
const LEAST = 0.3; // percent; a smaller box counts as a click
const ZOOMS = [100, 150, 200, 300, 400, 600];

const canvas = document.getElementById("canvas");
const form = document.getElementById("mark");
const drawn = document.getElementById("drawn");
const fields = form ? Object.fromEntries(EDGES.map((edge) => [edge, form.elements[edge]])) : null;

function show(layer, on) {
  if (on && layer.dataset.src && !layer.src) layer.src = layer.dataset.src;
  layer.toggleAttribute("hidden", !on);
}

function bind(box, layer) {
  const toggle = document.getElementById(box);
  const part = document.getElementById(layer);
  if (!toggle || !part) return;
  toggle.addEventListener("change", () => show(part, toggle.checked));
  part.addEventListener("error", () => {
    toggle.checked = false;
    toggle.disabled = true;
    toggle.parentElement.title = "This picture has no mask file (see remote_mask)";
    show(part, false);
  });
  show(part, toggle.checked);
}

let zoom = 0;
function zoomTo(level) {
  const frame = canvas.parentElement;
  const across = (frame.scrollLeft + frame.clientWidth / 2) / canvas.clientWidth;
  const down = (frame.scrollTop + frame.clientHeight / 2) / canvas.clientHeight;
  zoom = Math.min(Math.max(level, 0), ZOOMS.length - 1);
  canvas.style.width = `${ZOOMS[zoom]}%`;
  document.getElementById("zoom-level").value = `${ZOOMS[zoom]} %`;
  const picture = document.getElementById("picture");
  if (ZOOMS[zoom] > 150 && picture.dataset.full) {
    picture.src = picture.dataset.full;
    delete picture.dataset.full;
  }
  frame.scrollLeft = across * canvas.clientWidth - frame.clientWidth / 2;
  frame.scrollTop = down * canvas.clientHeight - frame.clientHeight / 2;
}

const within = (value) => Math.min(100, Math.max(0, value));
const rounded = (value) => String(Math.round(value * 1000) / 1000);

function read() {
  const box = EDGES.map((edge) => fields[edge].valueAsNumber);
  return box.every(Number.isFinite) && box[0] < box[2] && box[1] < box[3] ? box : null;
}

function place() {
  const box = read();
  drawn.hidden = !box;
  if (!box) return;
  drawn.style.left = `${box[0]}%`;
  drawn.style.top = `${box[1]}%`;
  drawn.style.width = `${box[2] - box[0]}%`;
  drawn.style.height = `${box[3] - box[1]}%`;
}

function write(box) {
  EDGES.forEach((edge, index) => { fields[edge].value = rounded(within(box[index])); });
  place();
}

function clear() {
  EDGES.forEach((edge) => { fields[edge].value = ""; });
  place();
}

function where(event) {
  const room = canvas.getBoundingClientRect();
  return [within((100 * (event.clientX - room.left)) / room.width), within((100 * (event.clientY - room.top)) / room.height)];
}

function moved(box, across, down) {
  const x = Math.min(Math.max(across, -box[0]), 100 - box[2]);
  const y = Math.min(Math.max(down, -box[1]), 100 - box[3]);
  return [box[0] + x, box[1] + y, box[2] + x, box[3] + y];
}

function pointer() {
  let from = null;
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    from = where(event);
    held = event.target === drawn ? read() : null;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = where(event);
    if (held) write(moved(held, x - from[0], y - from[1]));
    else write([Math.min(x, from[0]), Math.min(y, from[1]), Math.max(x, from[0]), Math.max(y, from[1])]);
  });
  const end = () => {
    const box = read();
    if (from && !held && (!box || box[2] - box[0] < LEAST || box[3] - box[1] < LEAST)) clear();
    from = null;
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
}

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function keyboard() {
  drawn.addEventListener("keydown", (event) => {
    const box = read();
    if (!box) return;
    if (KEYS[event.key]) {
      event.preventDefault();
      const [x, y] = KEYS[event.key].map((way) => way * (event.ctrlKey ? 5 * STEP : STEP));
      if (event.shiftKey) write([box[0], box[1], Math.max(box[2] + x, box[0] + LEAST), Math.max(box[3] + y, box[1] + LEAST)]);
      else write(moved(box, x, y));
    } else if (event.key === "Enter") {
      form.requestSubmit();
    } else if (event.key === "Escape" || event.key === "Delete") {
      clear();
      form.elements.left.focus();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "b" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    if (!read()) write([40, 40, 60, 60]);
    drawn.focus();
  });
}

// Highlights a listed region on the picture while the pointer or the focus is on its list entry.
function choosing() {
  for (const item of document.querySelectorAll("[data-region]")) {
    const region = document.getElementById(item.dataset.region);
    if (!region) continue;
    const choose = (on) => () => region.classList.toggle("chosen", on);
    for (const event of ["pointerenter", "focusin"]) item.addEventListener(event, choose(true));
    for (const event of ["pointerleave", "focusout"]) item.addEventListener(event, choose(false));
  }
}

if (canvas) {
  choosing();
  bind("show-boxes", "boxes");
  bind("show-mask", "mask");
  document.getElementById("zoom-in").addEventListener("click", () => zoomTo(zoom + 1));
  document.getElementById("zoom-out").addEventListener("click", () => zoomTo(zoom - 1));
}
if (canvas && form && drawn) {
  pointer();
  keyboard();
  form.addEventListener("input", place);
  form.addEventListener("reset", () => setTimeout(place));
  place();
}
