// Building elements. Text only ever becomes a text node, so nothing that a bot, a machine or a person wrote can
// become markup. Nothing here may know what it draws.

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    set(element, name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) {
    return;
  }
  if (name.startsWith("on")) {
    element.addEventListener(name.slice(2), value);
  } else if (name === "key") {
    element.dataset.key = value;
  } else if (name in element && ["value", "checked", "disabled", "selected", "open", "readOnly"].includes(name)) {
    element[name] = value;
  } else {
    element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
  }
}

// Put a new drawing in the place of an old one; focus and what was unfolded stay where they were.
export function swap(before, after) {
  const active = before.contains(document.activeElement) ? document.activeElement : null;
  for (const unfolded of before.querySelectorAll("details[data-key][open]")) {
    const twin = find(after, unfolded.dataset.key);
    if (twin) {
      twin.open = true;
    }
  }
  before.replaceWith(after);
  if (active) {
    const twin = active.dataset.key ? find(after, active.dataset.key) : null;
    const target = twin && !twin.disabled ? twin : after;
    if (target === after && !after.hasAttribute("tabindex")) {
      after.tabIndex = -1;
    }
    target.focus({ preventScroll: true });
  }
  return after;
}

function find(root, key) {
  return [...root.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key) ?? null;
}

// Keep a list of drawings in step with a list of things: only what differs is drawn again.
export class Keyed {
  constructor(root, draw) {
    this.root = root;
    this.draw = draw;
    this.known = new Map();
  }

  // `things` are [key, version, value]: a thing is drawn again when its version is another one.
  show(things) {
    const wanted = new Set(things.map(([key]) => key));
    for (const [key, { element }] of this.known) {
      if (!wanted.has(key)) {
        element.remove();
        this.known.delete(key);
      }
    }
    let before = null;
    for (const [key, version, value] of things) {
      before = this.#place(key, version, value, before);
    }
  }

  #place(key, version, value, before) {
    let entry = this.known.get(key);
    if (!entry) {
      entry = { version, element: this.draw(value) };
      this.known.set(key, entry);
    } else if (entry.version !== version) {
      entry.element = swap(entry.element, this.draw(value));
      entry.version = version;
    }
    const next = before ? before.nextSibling : this.root.firstChild;
    if (next !== entry.element) {
      this.root.insertBefore(entry.element, next);
    }
    return entry.element;
  }

  clear() {
    this.known.clear();
    this.root.replaceChildren();
  }
}

export function clock(seconds) {
  return new Date(Number(seconds) * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
}

export function size(bytes) {
  return bytes < 1024 ? `${bytes} bytes` : `${(bytes / 1024).toFixed(1)} kB`;
}

export function json(value) {
  return JSON.stringify(value, null, 2);
}

export async function copy(text, button) {
  let told = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    told = "Not allowed by the browser";
  }
  const label = button.textContent;
  button.textContent = told;
  setTimeout(() => { button.textContent = label; }, 1500);
}
