// Keeps a page up to date: reads the deployment's messages, and loads the parts of the page again that can have changed.
"use strict";
const note = document.getElementById("live");
const announcement = document.getElementById("announcement");
const SILENCE = 20000, DELAY = 1000, QUIET = 10000, MOST_ROWS = 100;
const changed = new Set();
let stream = null, newest = "", silence = 0, planned = 0, said = "", quietUntil = 0, announcing = 0;

// What is shown must not look current if it is not.
function tell(state, text, offersReload = false) {
  if (note.dataset.state === state) return;
  note.dataset.state = state;
  note.classList.toggle("error", state === "broken" || state === "off");
  note.replaceChildren(text);
  if (!offersReload) return;
  const link = document.createElement("a");
  link.href = location.href.replace(/#.*/, "");
  link.textContent = "Reload the page";
  note.append(" ", link);
}

function open() {
  close();
  const address = new URL(note.dataset.stream, location.href);
  if (newest) address.searchParams.set("lastEventId", newest);
  stream = new EventSource(address);
  const listen = (name, act) => stream.addEventListener(name, (event) => {
    if (event.lastEventId) newest = event.lastEventId;
    clearTimeout(silence);
    silence = setTimeout(fail, SILENCE);
    act(event);
  });
  listen("ready", () => tell("on", "Live"));
  listen("ping", () => {});
  listen("message", (event) => receive(JSON.parse(event.data)));
  // The deployment was reset, or has forgotten what happened meanwhile.
  listen("lost", () => {
    close();
    tell("off", "Not live: changes were missed.", true);
  });
  stream.addEventListener("error", (event) => {
    if (event.data) {
      close();
      tell("off", "Not live: there are more changes than this page can show.", true);
    } else if (stream.readyState === EventSource.CLOSED) {
      close();
      tell("off", "Not live: the deployment refused to send changes.", true);
    } else fail();
  });
}

function fail() {
  tell("broken", "Not live: the connection is lost. This page shows what was there before.");
  if (stream && stream.readyState === EventSource.OPEN) open();
}

function close() {
  clearTimeout(silence);
  stream?.close();
  stream = null;
}

function receive(message) {
  const {taskId, state} = message.payload.status || {};
  if (taskId && state) {
    changed.add(taskId);
    for (const element of document.querySelectorAll(`[data-state-of="${CSS.escape(taskId)}"]`)) {
      element.className = `state state-${state}`;
      element.textContent = state;
    }
  }
  plan();
}

function plan(delay = DELAY) {
  if (!planned && note.dataset.refresh) planned = setTimeout(refresh, delay);
}

async function refresh() {
  const rows = document.getElementById("rows");
  const asked = [...changed].slice(0, rows ? MOST_ROWS : 0);
  const address = new URL(note.dataset.refresh, location.href);
  for (const taskId of asked) address.searchParams.append("taskId", taskId);
  if (!rows) changed.clear();
  for (const taskId of asked) changed.delete(taskId);
  let isPaused = false;
  try {
    const response = await fetch(address);
    if (!response.ok) throw new Error(response.status);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of page.querySelectorAll("[data-part]")) isPaused = !replace(part) || isPaused;
    for (const row of rows ? page.querySelectorAll("tr[id]") : []) {
      const old = document.getElementById(row.id);
      if (old?.contains(document.activeElement)) old.cells[0].replaceWith(row.cells[0]);
      else if (old) old.replaceWith(row);
      else rows.append(row);
    }
    document.dispatchEvent(new Event("refreshed"));
    announce();
    planned = 0;
    if (stream?.readyState === EventSource.OPEN) {
      if (isPaused) tell("paused", "Paused while something is open or filled in below");
      else tell("on", "Live");
    }
    if (isPaused) plan();
    else if (rows && changed.size) plan(DELAY / 5);
  } catch {
    planned = 0;
    for (const taskId of asked) changed.add(taskId);
    tell("broken", "Not live: the page could not be loaded again. It shows what was there before.", true);
    if (stream) plan(5 * DELAY);
  }
}

// Returns whether the part is as in the new page.
function replace(part) {
  const old = document.getElementById(part.id);
  if (!old || old.innerHTML === part.innerHTML) return true;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const fields = [...old.querySelectorAll("input, select, textarea")];
  if (old.querySelector("details[open]") || fields.some((field) => field === focused || isEdited(field))) return false;
  old.replaceWith(part);
  if (focused) {
    const same = [...part.querySelectorAll(focused.localName)].find((each) => each.outerHTML === focused.outerHTML);
    same?.focus({preventScroll: true});
  }
  return true;
}

function isEdited(field) {
  if (field.localName !== "select") return field.value !== field.defaultValue;
  return field.querySelector("option[selected]") && [...field.selectedOptions].some((option) => !option.defaultSelected);
}

// Screen readers hear what has changed, but not too often.
function announce() {
  const text = document.querySelector("[data-announce]")?.textContent.trim().replace(/\s+/g, " ") || "";
  if (text === said || announcing) return;
  announcing = setTimeout(() => {
    announcing = 0;
    quietUntil = Date.now() + QUIET;
    said = document.querySelector("[data-announce]")?.textContent.trim().replace(/\s+/g, " ") || "";
    announcement.textContent = said;
  }, Math.max(0, quietUntil - Date.now()));
}

// Browsers allow six connections to a deployment: hidden pages do without.
function look() {
  if (note.dataset.state === "off") return;
  if (document.hidden) {
    close();
    note.dataset.state = "hidden";
  } else if (!stream) {
    tell("connecting", "Connecting …");
    open();
  }
}

if (note.dataset.stream) {
  said = document.querySelector("[data-announce]")?.textContent.trim().replace(/\s+/g, " ") || "";
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && look());
  look();
}
