// Returns what is wrong with a page, as strings. tests/local/test_pages.py evaluates it in the page.
(() => {
  const faults = [];
  const root = document.documentElement;
  const named = (element) => {
    const id = element.id ? `#${element.id}` : "";
    return `<${element.localName}${id} class="${element.className}">${element.textContent.trim().slice(0, 40)}`;
  };
  const each = (selector, check) => {
    for (const element of document.querySelectorAll(selector)) {
      const fault = check(element);
      if (fault) faults.push(`${fault}: ${named(element)}`);
    }
  };

  // Layout
  if (root.scrollWidth > root.clientWidth) {
    faults.push(`the page scrolls horizontally: ${root.scrollWidth} > ${root.clientWidth}`);
    each("main *", (element) => {
      const scrolls = element.closest(".scroll, .box, .log");
      return !scrolls && element.getBoundingClientRect().right > root.clientWidth + 1 && "is too wide";
    });
  }

  // Structure
  if (!root.lang) faults.push("the page has no lang");
  if (!document.title.trim()) faults.push("the page has no title");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of ids.filter((id, index) => ids.indexOf(id) !== index)) faults.push(`two elements have the id ${id}`);
  each("table", (table) => !table.querySelector("th") && "has no header cells");
  each("table", (table) => !table.caption && !table.closest("[aria-label]") && "has no name");
  each("th", (cell) => !cell.scope && "has no scope");
  each("label[for]", (label) => !document.getElementById(label.htmlFor) && "is for no field");
  each("[aria-describedby], [aria-labelledby]", (element) => {
    const names = `${element.getAttribute("aria-describedby") || ""} ${element.getAttribute("aria-labelledby") || ""}`;
    return names.trim().split(/\s+/).some((id) => !document.getElementById(id)) && "refers to no element";
  });

  // What attacks would leave
  each("main img, iframe, object, embed, [onclick], [onerror], [onload], [style]", () => "is not of the page");
  each("script", (script) => !script.src.startsWith(`${location.origin}/static/`) && "is not of the page");
  // Forms can have fields called `action`.
  const target = (element) => new URL(element.getAttribute("href") ?? element.getAttribute("action"), location);
  each("a[href], form[action]", (element) =>
    !["http:", "https:"].includes(target(element).protocol) && "leads to a script");
  each("a[href], form[action]", (element) =>
    /accessToken|bewit|certificate|csrf=/.test(target(element).search) && "has credentials");

  // Contrast
  const colour = (text) => {
    const found = /^rgba?\(([^)]*)\)$/.exec(text);
    if (!found) throw new Error(`unknown colour ${text}`);
    const [red, green, blue, alpha = 1] = found[1].split(/[ ,\/]+/).map(Number);
    return [red, green, blue, alpha];
  };
  const over = (front, back) => front.slice(0, 3).map((part, index) => part * front[3] + back[index] * (1 - front[3]));
  const luminance = (parts) => {
    const [red, green, blue] = parts.map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    if (!element) throw new Error("the page has no background");
    const own = colour(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, ground(element.parentElement));
  };
  const opaque = (element) => !element || (getComputedStyle(element).opacity === "1" && opaque(element.parentElement));
  const texts = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (walker.currentNode.data.trim()) texts.add(walker.currentNode.parentElement);
  for (const element of document.querySelectorAll("input:not([type=hidden]), textarea, select")) texts.add(element);
  for (const element of texts) {
    if (!element.checkVisibility({visibilityProperty: true}) || element.disabled) continue;
    const style = getComputedStyle(element);
    if (!opaque(element)) faults.push(`is transparent: ${named(element)}`);
    const back = ground(element);
    const [light, dark] = [luminance(over(colour(style.color), back)), luminance(back)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) faults.push(`has a contrast of ${ratio.toFixed(2)}: ${named(element)}`);
  }
  return faults;
})()
