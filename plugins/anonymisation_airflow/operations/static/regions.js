// The polygon of a fixed region. The text holds the corners to send, x and y in percent; a click adds one.
"use strict";

const area = document.getElementById("area");
const corners = document.getElementById("corners");

function show() {
  const points = corners.value.split("\n").map((line) => line.trim().split(/[\s,]+/).map(Number));
  const whole = points.filter((point) => point.length === 2 && point.every(Number.isFinite));
  document.querySelector("#outline polygon").setAttribute("points", whole.map((point) => point.join(",")).join(" "));
}

if (area && corners) {
  area.addEventListener("click", (event) => {
    const room = area.getBoundingClientRect();
    const share = (value, from, length) => (Math.min(100, Math.max(0, (100 * (value - from)) / length))).toFixed(2);
    const corner = `${share(event.clientX, room.left, room.width)}, ${share(event.clientY, room.top, room.height)}`;
    corners.value = [...corners.value.split("\n").filter((line) => line.trim()), corner].join("\n");
    show();
  });
  document.getElementById("undo").addEventListener("click", () => {
    corners.value = corners.value.split("\n").filter((line) => line.trim()).slice(0, -1).join("\n");
    show();
  });
  corners.addEventListener("input", show);
}
