// Filters the tasks of a group without loading them again. The address keeps the filter behind the #.
"use strict";
const form = document.querySelector(".filter");
const rows = document.getElementById("rows");
const end = document.getElementById("end");
const {state, name} = form.elements;

// Just a part of a name, as in real deployments, or fields: #name=…&state=…
function read() {
  const text = location.hash.slice(1);
  if (!text) return;
  const fields = new URLSearchParams(/^(name|state)=/.test(text) ? text : "");
  if (![...fields].length && document.getElementById(text)) return;
  let decoded = text;
  try { decoded = decodeURIComponent(text); } catch { /* Not encoded. */ }
  name.value = [...fields].length ? fields.get("name") || "" : decoded;
  state.value = fields.get("state") || "";
}

function write() {
  const value = name.value.trim();
  const simple = encodeURIComponent(value);
  const fields = new URLSearchParams(Object.entries({name: value, state: state.value}).filter(([, text]) => text));
  const needsFields = state.value || document.getElementById(simple) || /^(name|state)%3D/.test(simple);
  const hash = needsFields ? String(fields) : simple;
  const address = location.pathname + (hash && `#${hash}`);
  if (rows.hasAttribute("data-filtered")) location.assign(address);
  else history.replaceState(null, "", address);
}

function apply() {
  const part = name.value.trim().toLowerCase();
  let shown = 0;
  for (const row of rows.rows) {
    const isShown = (!state.value || row.cells[0].textContent === state.value)
      && row.cells[1].textContent.toLowerCase().includes(part);
    row.hidden = !isShown;
    shown += isShown;
  }
  end.textContent = `${shown} of ${document.getElementById("summary").dataset.size} tasks are shown.`;
}

function change() {
  write();
  apply();
}

// The tasks that the server left out have to be loaded: not at every key.
form.addEventListener(rows.hasAttribute("data-filtered") ? "change" : "input", change);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  change();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-state]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  state.value = link.dataset.state;
  change();
});
document.addEventListener("refreshed", apply);
addEventListener("hashchange", () => {
  read();
  apply();
});
read();
apply();
