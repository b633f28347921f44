// Dialogs that the bot opens and its Home tab: views of one person. What was typed stays when the bot redraws a
// view, as long as the input keeps its ids, and a refused submission shows its errors at the inputs.

import { drawBlocks } from "./blocks.js";
import { h, swap } from "./dom.js";
import { wait } from "./messages.js";
import { store } from "./store.js";
import { act } from "./wire.js";

export class Modal {
  constructor() {
    this.values = new Map();
    this.errors = {};
    this.trouble = "";
  }

  // Follow the actor's topmost view: open, redraw or close.
  show() {
    const actor = store.actor;
    const view = actor && store.get(`modal:${actor.id}`);
    const version = view && `${view.id}/${view.hash}/${actor.id}`;
    if (!view) {
      this.#end();
    } else if (!this.dialog) {
      this.#begin(view);
    } else if (version !== this.version) {
      if (view.id !== this.view.id) {
        this.#forget();
      }
      this.#draw(view);
    }
    this.version = version;
  }

  #forget() {
    this.values = new Map();
    this.errors = {};
    this.trouble = "";
  }

  #begin(view) {
    this.#forget();
    this.before = document.activeElement;
    this.dialog = h("dialog", { class: "dialog modal", "aria-labelledby": "modal-title" });
    this.dialog.addEventListener("cancel", (event) => { event.preventDefault(); this.#close(); });
    document.body.append(this.dialog);
    this.#draw(view);
    this.dialog.showModal();
    (this.#inputs()[0] ?? this.dialog.querySelector("h2")).focus();
  }

  #end() {
    if (this.dialog) {
      this.dialog.close();
      this.dialog.remove();
      this.dialog = null;
      if (this.before?.isConnected) {
        this.before.focus();
      }
    }
  }

  #inputs() {
    return [...this.dialog.querySelectorAll(".dialog-body .field, .dialog-body .options input")];
  }

  #draw(view) {
    this.view = view;
    const form = this.#form(view);
    if (this.form?.isConnected) {
      const scrolled = this.form.querySelector(".dialog-body").scrollTop;
      swap(this.form, form);
      form.querySelector(".dialog-body").scrollTop = scrolled;
    } else {
      this.dialog.replaceChildren(form);
    }
    this.form = form;
  }

  #form(view) {
    const close = () => this.#close();
    const context = { surface: view.id, values: this.values, state: view.state.values, errors: this.errors, use: (...use) => this.#use(...use) };
    return h(
      "form",
      { novalidate: true, onsubmit: (event) => { event.preventDefault(); this.#submit(); } },
      h(
        "header",
        {},
        h("h2", { id: "modal-title", tabindex: "-1" }, view.title.text),
        h("small", { class: "badge" }, "Runbook Bot"),
        h("button", { type: "button", class: "icon-button", key: "close-icon", "aria-label": "Close", onclick: close }, "✕"),
      ),
      h("div", { class: "dialog-body" }, this.trouble ? h("p", { class: "notice", role: "alert" }, this.trouble) : null, drawBlocks(view.blocks, context)),
      h(
        "footer",
        {},
        h("button", { type: "button", class: "button", key: "close", onclick: close }, view.close?.text ?? "Cancel"),
        view.submit ? h("button", { type: "submit", class: "button primary", key: "submit" }, view.submit.text) : null,
      ),
    );
  }

  async #use(block, element, value, node) {
    await wait(node, () => act("view-click", {
      actor: store.actor.name, view_id: this.view.id, block_id: block.block_id ?? "", action_id: element.action_id, value, values: Object.fromEntries(this.values),
    }));
  }

  async #submit() {
    const view = this.view;
    const button = this.form.querySelector("[type=submit]");
    button.setAttribute("aria-busy", "true");
    const answer = await act("submit", { actor: store.actor.name, view_id: view.id, values: Object.fromEntries(this.values) });
    button.removeAttribute("aria-busy");
    this.errors = answer.errors ?? {};
    const atInputs = Object.keys(this.errors).length > 0;
    this.trouble = atInputs ? "" : answer.error;
    if ((atInputs || this.trouble) && this.dialog && this.view.id === view.id) {
      this.#draw(this.view);
      (this.dialog.querySelector("[aria-invalid]") ?? this.dialog.querySelector("h2")).focus();
    }
  }

  async #close() {
    await act("close", { actor: store.actor.name });
  }
}

// The app's Home tab of the person who looks.
export class Home {
  constructor() {
    this.body = h("div", { class: "home-body" });
    this.root = h("div", { class: "home", tabindex: "0", role: "region", "aria-label": "Home tab of Runbook Bot" }, this.body);
  }

  // The bot is told when somebody opens the tab, and publishes what it then shows.
  async opened() {
    const { error } = await act("home", { actor: store.actor.name });
    this.problem = error;
    this.version = null;
    this.show();
  }

  show() {
    const view = store.get(`home:${store.actor.id}`);
    const version = view ?? "none";
    if (version === this.version) {
      return;
    }
    this.version = version;
    const use = (block, element, value, node) => wait(node, () => act("view-click", { actor: store.actor.name, view_id: view.id, block_id: block.block_id ?? "", action_id: element.action_id, value }));
    const drawn = h(
      "div",
      { class: "home-body" },
      this.problem ? h("p", { class: "notice", role: "alert" }, this.problem) : null,
      view ? drawBlocks(view.blocks, { surface: view.id, values: new Map(), use }) : h("p", { class: "empty" }, "The bot has published nothing here yet."),
    );
    this.body = swap(this.body, drawn);
  }
}
