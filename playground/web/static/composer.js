// Where people type. A slash opens the commands with their usage hints; what is typed but not sent is kept per
// conversation. In a thread a command is refused, as Slack refuses it.

import { h } from "./dom.js";
import { store } from "./store.js";
import { act } from "./wire.js";

const DRAFT = "playground-draft:";
const SHOWN = 14;
let number = 0;

export class Composer {
  constructor({ inThread }) {
    this.inThread = inThread;
    this.id = `composer-${(number += 1)}`;
    this.chosen = -1;
    this.input = h("textarea", {
      id: this.id, rows: "1", maxlength: "4000", role: "combobox", autocomplete: "off", spellcheck: "false",
      "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${this.id}-list`,
      oninput: () => this.#typed(), onkeydown: (event) => this.#key(event), onblur: () => setTimeout(() => this.#close(), 150),
    });
    this.label = h("label", { class: "unseen", for: this.id });
    this.list = h("ul", { id: `${this.id}-list`, class: "suggestions", role: "listbox", "aria-label": "Commands", hidden: true });
    this.hint = h("p", { class: "composer-hint" });
    this.notice = h("div", { class: "notices", role: "alert" });
    this.send = h("button", { type: "submit", class: "button primary send" }, "Send");
    this.input.disabled = this.send.disabled = true; // until it is known where a line would go
    this.root = h(
      "form",
      { class: "composer", onsubmit: (event) => { event.preventDefault(); this.#submit(); } },
      this.notice, this.list, this.label, h("div", { class: "composer-row" }, this.input, this.send), this.hint,
    );
  }

  // Say where a line would go; `name` is what people call that place.
  aim({ channel, thread, name, closed }) {
    const place = `${channel}/${thread}`;
    if (place !== this.place) {
      this.place = place;
      this.notice.replaceChildren();
      this.#write(sessionStorage.getItem(DRAFT + place) ?? "");
      this.#close();
    }
    this.target = { channel, thread };
    this.label.textContent = this.inThread ? `Reply in ${name}` : `Message ${name}`;
    this.input.placeholder = closed || (this.inThread ? "Reply; no commands in threads" : `Message ${name}, or / for commands`);
    this.input.disabled = this.send.disabled = Boolean(closed);
  }

  fill(text) {
    this.#write(text);
    this.input.focus();
    this.#typed();
  }

  #write(text) {
    this.input.value = text;
    this.#grow();
  }

  #grow() {
    this.input.style.height = "auto";
    const wanted = this.input.scrollHeight; // nothing while it is hidden
    this.input.style.height = wanted ? `${Math.min(wanted, 160)}px` : "auto";
  }

  #typed() {
    sessionStorage.setItem(DRAFT + this.place, this.input.value);
    this.#grow();
    this.#suggest();
  }

  #suggest() {
    const { commands = [], usages = [] } = store.get("workspace") ?? {};
    const text = this.input.value;
    const command = commands.find(({ name }) => text.startsWith(`${name} `));
    const found = command
      ? usages.map((usage) => ({ text: `${command.name} ${usage.example}`, title: `${command.name} ${usage.pattern}`, about: usage.purpose }))
        .filter(({ title, text: example }) => matches(text, title) || (example.startsWith(text) && example !== text))
      : commands.filter(({ name }) => text.startsWith("/") && name.startsWith(text.trim())).map(({ name, hint, about }) => ({ text: `${name} `, title: name, about: `${about}: ${hint}` }));
    this.hint.textContent = this.inThread && text.startsWith("/") ? "Slack refuses commands in threads; use the channel." : "";
    this.#open(this.inThread ? [] : found.slice(0, SHOWN));
  }

  #open(found) {
    this.found = found;
    this.chosen = -1;
    this.list.hidden = !found.length;
    this.input.setAttribute("aria-expanded", String(found.length > 0));
    this.input.removeAttribute("aria-activedescendant");
    this.list.replaceChildren(...found.map((each, index) =>
      h(
        "li",
        { id: `${this.id}-${index}`, role: "option", "aria-selected": "false", onpointerdown: (event) => { event.preventDefault(); this.#take(each); } },
        h("strong", {}, each.title), h("small", {}, each.about),
      )));
  }

  #close() {
    this.#open([]);
  }

  #choose(index) {
    const count = this.found.length;
    this.chosen = (index + count) % count;
    for (const [at, item] of [...this.list.children].entries()) {
      item.setAttribute("aria-selected", String(at === this.chosen));
    }
    this.input.setAttribute("aria-activedescendant", `${this.id}-${this.chosen}`);
    this.list.children[this.chosen].scrollIntoView({ block: "nearest" });
  }

  #take({ text }) {
    this.#write(text);
    this.#typed();
    if (!text.endsWith(" ")) {
      this.#close();
    }
    this.input.focus();
  }

  #key(event) {
    const open = this.found?.length > 0;
    if (event.isComposing) {
      return;
    }
    if (open && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      event.preventDefault();
      this.#choose(this.chosen + (event.key === "ArrowDown" ? 1 : this.chosen < 0 ? 0 : -1));
    } else if (open && event.key === "Escape") {
      event.stopPropagation();
      this.#close();
    } else if (open && (event.key === "Enter" || (event.key === "Tab" && !event.shiftKey)) && this.chosen >= 0) {
      event.preventDefault();
      this.#take(this.found[this.chosen]);
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#submit();
    }
  }

  async #submit() {
    const line = this.input.value.trim();
    if (!line) {
      return;
    }
    const { channel, thread } = this.target;
    this.#write("");
    sessionStorage.removeItem(DRAFT + this.place);
    this.#close();
    this.notice.replaceChildren();
    const place = this.place;
    const { error } = await act("type", { actor: store.actor.name, channel, thread, line });
    if (error && place === this.place) {
      this.notice.replaceChildren(h("p", { class: "notice" }, h("small", {}, "Only visible to you"), h("span", {}, error)));
      if (!this.input.value) {
        this.#write(line);
      }
    }
  }
}

function matches(text, pattern) {
  const typed = text.trimEnd().split(/\s+/);
  const known = pattern.split(/\s+/);
  return typed.length <= 2 && typed.every((word, index) => known[index]?.startsWith(word));
}
