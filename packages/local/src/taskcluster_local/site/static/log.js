// Marks the lines that the address names, and follows the log of a running task.
"use strict";
const log = document.querySelector(".log");
const end = document.getElementById("end");
const MOST_LINES = 20000;

function wanted() {
  const found = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash);
  if (!found) return null;
  const [first, last] = [Number(found[1]), Number(found[2] || found[1])];
  return first <= last ? [first, last] : [last, first];
}

function mark() {
  for (const line of log.querySelectorAll(".marked")) line.classList.remove("marked");
  const range = wanted();
  if (!range) return;
  const [first, last] = range;
  const {here, lines} = log.dataset;
  if (here && first > 0 && first <= Number(lines) && !document.getElementById(`L${first}`)) {
    location.replace(`${here}?from=${Math.max(1, first - 100)}#L${first}-${last}`);
    return;
  }
  for (const line of log.children) {
    const number = Number(line.id.slice(1));
    if (number >= first && number <= last) line.classList.add("marked");
  }
  document.getElementById(`L${first}`)?.scrollIntoView({block: "center"});
}

// A click marks a line; with Shift, all lines from the marked one.
log.addEventListener("click", (event) => {
  const number = event.target.closest("a.number")?.textContent;
  const range = wanted();
  if (!number || !event.shiftKey || !range) return;
  event.preventDefault();
  const [first, last] = [range[0], Number(number)].sort((a, b) => a - b);
  location.hash = `L${first}-${last}`;
});
addEventListener("hashchange", mark);

const LINK = /https?:\/\/[^\s<>"'`\\]*[^\s<>"'`\\.,;:!?)\]}]|(?<![\w-])[\w-]{8}[Q-T][\w-][CGKOSWaeimquy26-][\w-]{10}[AQgw](?![\w-])/g;
const TERMINAL = /\x1b(?:\[[0-9;?]*[ -\/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])|[\x00-\x08\x0b-\x1f\x7f]/g;

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function shown(number, line) {
  const text = (line.split("\r").filter(Boolean).pop() || "").replace(TERMINAL, "").slice(0, 10000);
  const parts = [];
  let done = 0;
  for (const found of text.matchAll(LINK)) {
    const href = found[0].includes("://") ? found[0] : `/tasks/${found[0]}`;
    parts.push(text.slice(done, found.index), element("a", {href, rel: "noreferrer"}, found[0]));
    done = found.index + found[0].length;
  }
  const link = element("a", {className: "number", href: `#L${number}`}, `${number}`);
  return element("div", {className: "line", id: `L${number}`}, link, " ", element("span", {}, ...parts, text.slice(done)));
}

async function follow(address) {
  let rest = "", count = 0, waiting = [], timer = 0, isMarked = false;
  // Not for each chunk: a long log arrives faster than it can be shown.
  function flush() {
    timer = 0;
    const isAtEnd = innerHeight + scrollY > document.documentElement.scrollHeight - 60;
    const first = count - waiting.length + 1;
    const skipped = Math.max(0, waiting.length - MOST_LINES);
    log.append(...waiting.slice(skipped).map((line, index) => shown(first + skipped + index, line)));
    waiting = [];
    while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
    const range = wanted();
    if (range && !isMarked && range[1] <= count) {
      isMarked = true;
      mark();
    } else if (isAtEnd && !range) end.scrollIntoView({block: "end"});
  }
  const response = await fetch(address, {credentials: "omit", referrerPolicy: "no-referrer"});
  if (!response.ok) throw new Error(response.status);
  end.textContent = "The task is running; new lines appear here.";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const {value, done} = await reader.read();
    const lines = (rest + (value || "")).split("\n");
    rest = lines.pop().slice(-100000);
    if (done && rest) lines.push(rest);
    count += lines.length;
    for (const line of lines) waiting.push(line);
    if (waiting.length > 2 * MOST_LINES) waiting = waiting.slice(-MOST_LINES);
    if (done) break;
    timer ||= setTimeout(flush, 100);
  }
  clearTimeout(timer);
  flush();
}

if (log.dataset.live)
  follow(log.dataset.live).then(
    () => { end.textContent = "The log has ended. Reload the page for the stored one."; },
    () => { end.textContent = "The worker does not serve this log any more. Reload the page for the stored one."; },
  );
else if (wanted()) mark();
else if ("isEnd" in log.dataset) end.scrollIntoView({block: "end"});
