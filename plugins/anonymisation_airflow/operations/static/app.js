// Every page works without this script. The script follows the theme of the surrounding window, opens Airflow's own pages
// in the window instead of the frame, and refreshes the page of a running night.
"use strict";

const framed = window.parent !== window;

function followTheme() {
  const outer = window.parent.document.documentElement;
  const take = () => {
    const dark = outer.classList.contains("dark") || outer.style.colorScheme === "dark";
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  take();
  new MutationObserver(take).observe(outer, { attributes: true, attributeFilter: ["class", "style"] });
}

// The frame may not navigate the surrounding window, but a link in that window's own document may.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-airflow]");
  if (!link || !framed || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const outer = window.parent.document.createElement("a");
  outer.href = link.href;
  window.parent.document.body.append(outer);
  outer.click();
  outer.remove();
});

async function refresh(id) {
  const old = document.getElementById(id);
  if (!document.hidden && !old.contains(document.activeElement)) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById(id);
        if (fresh) old.replaceWith(fresh);
      }
    } catch {
      // The server does not answer now; try again at the next refresh.
    }
  }
  schedule(id);
}

function schedule(id) {
  const part = document.getElementById(id);
  const seconds = Number(part?.dataset.refresh);
  if (seconds) setTimeout(() => refresh(id), 1000 * seconds);
}

if (framed) {
  try {
    followTheme();
  } catch {
    // The surrounding page belongs to another site and cannot be read.
  }
}
schedule("night");
