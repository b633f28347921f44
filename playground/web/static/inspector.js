// The inspector: everything that passed between the simulated Slack and the bot, with how long it took of the three
// seconds that Slack allows.

import { Keyed, copy, h, json } from "./dom.js";
import { store } from "./store.js";
import { ask } from "./wire.js";

const BUDGET_MS = 3000;
const KINDS = {
  delivery: "to the bot", call: "from the bot", response_url: "response URL", upload: "upload", download: "download",
  socket: "socket", notice: "seen by a person", fault: "fault",
};

export class Inspector {
  constructor() {
    this.kind = h("select", { class: "field", id: "kind", onchange: () => this.show() }, h("option", { value: "" }, "everything"), Object.entries(KINDS).map(([value, label]) => h("option", { value }, label)));
    this.words = h("input", { class: "field", id: "words", type: "search", autocomplete: "off", oninput: () => this.show() });
    this.body = h("tbody");
    this.rows = new Keyed(this.body, (entry) => this.#row(entry));
    this.details = h("section", { class: "details", "aria-label": "Details", "aria-live": "polite" }, h("p", { class: "empty" }, "Choose an entry to see all of it."));
    this.count = h("p", { class: "when" });
    this.root = h(
      "div",
      { class: "panel inspector" },
      h("h2", { tabindex: "-1" }, "Inspector"),
      h("p", { class: "lead" }, "Deliveries must be acknowledged within 3 s. Tokens are never recorded, headers that carry secrets are shown without them."),
      h("div", { class: "filters" }, h("label", { for: "kind" }, "Show "), this.kind, h("label", { for: "words" }, " containing "), this.words, this.count),
      h(
        "div",
        { class: "split" },
        h(
          "div",
          { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Journal" },
          h("table", {}, h("thead", {}, h("tr", {}, ["#", "Time", "Kind", "Name", "Took", "What"].map((head) => h("th", { scope: "col" }, head)))), this.body),
        ),
        this.details,
      ),
    );
  }

  show() {
    const words = this.words.value.toLowerCase();
    const all = store.all("entry:").sort(([one], [other]) => (one < other ? 1 : -1));
    const found = all.filter(([, entry]) => (!this.kind.value || entry.kind === this.kind.value) && (!words || `${entry.name} ${entry.about} ${entry.note}`.toLowerCase().includes(words)));
    this.rows.show(found.map(([key, entry]) => [key, entry, entry]));
    this.count.textContent = `${found.length} of the newest ${all.length}`;
  }

  #row(entry) {
    return h(
      "tr",
      { class: entry.ok ? "" : "failed", "data-number": entry.number },
      h("td", {}, entry.number),
      h("td", {}, new Date(entry.at).toLocaleTimeString([], { hour12: false })),
      h("td", { class: "one-line" }, KINDS[entry.kind] ?? entry.kind),
      h("td", {}, h("button", { type: "button", class: "link", key: "open", onclick: () => this.#open(entry) }, entry.name)),
      h("td", {}, took(entry)),
      h("td", { class: "note" }, entry.about ? h("span", { class: "about" }, named(entry.about)) : null, `${entry.ok ? "" : "✗ "}${entry.note}`),
    );
  }

  async #open(entry) {
    const whole = await ask(`entry/${entry.number}`);
    for (const row of this.body.querySelectorAll("[aria-selected]")) {
      row.removeAttribute("aria-selected");
    }
    this.body.querySelector(`[data-number="${entry.number}"]`)?.setAttribute("aria-selected", "true");
    const button = (label, text) => h("button", { type: "button", class: "button", onclick: (event) => copy(text, event.currentTarget) }, label);
    this.details.replaceChildren(
      h("h3", { tabindex: "-1" }, `${entry.number}. ${entry.name}`),
      h("p", {}, `${KINDS[entry.kind] ?? entry.kind}, ${entry.ok ? "ok" : "failed"}, ${entry.latency_ms.toFixed(1)} ms`, entry.kind === "delivery" ? ` of ${BUDGET_MS} ms` : ""),
      h("p", { class: "note" }, entry.note),
      h("div", { class: "buttons" }, button("Copy as JSON", json(whole)), ["call", "delivery", "response_url"].includes(entry.kind) ? button("Copy as test fixture", fixture(whole)) : null, ["call", "response_url"].includes(entry.kind) ? button("Copy as curl", curl(whole)) : null),
      headers(entry.kind === "delivery" && !whole.headers.Host && whole.headers.envelope_id ? "Envelope" : "Headers", whole.headers),
      h("h4", {}, "Request"),
      h("pre", { class: "code tall", tabindex: "0" }, json(whole.request)),
      headers("Headers of the answer", whole.reply_headers),
      h("h4", {}, "Answer"),
      h("pre", { class: "code tall", tabindex: "0" }, json(whole.reply)),
    );
    this.details.querySelector("h3").focus({ preventScroll: innerWidth > 900 });
  }
}

function headers(title, found) {
  const names = Object.entries(found ?? {});
  return names.length ? [h("h4", {}, title), h("dl", { class: "headers" }, names.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))] : [];
}

// A delivery's payload is what the files in tests/payloads hold; of a call both sides are needed.
function fixture({ kind, name, request, reply }) {
  return `${json(kind === "delivery" ? request : { method: name, request, reply })}\n`;
}

function named(text) {
  return text.replace(/@(U\w+)/g, (whole, id) => (store.user(id) ? `@${store.user(id).real_name}` : whole));
}

function took(entry) {
  if (!entry.latency_ms) {
    return "";
  }
  const label = `${entry.latency_ms < 10 ? entry.latency_ms.toFixed(1) : Math.round(entry.latency_ms)} ms`;
  if (entry.kind !== "delivery") {
    return label;
  }
  const share = Math.min(1, entry.latency_ms / BUDGET_MS);
  const level = share > 0.66 ? "bad" : share > 0.33 ? "warn" : "good";
  return h("span", { class: "took", title: `${(share * 100).toFixed(1)} % of the 3 s` }, label, h("meter", { class: level, min: "0", max: "1", value: share, "aria-label": "share of the 3 s budget" }));
}

function curl({ name, request }) {
  const url = store.get("status").slack_url + name;
  return `curl -X POST '${url}' \\\n  -H "Authorization: Bearer $SLACK_BOT_TOKEN" -H 'Content-Type: application/json; charset=utf-8' \\\n  -d '${JSON.stringify(request).replaceAll("'", "'\\''")}'`;
}
