// Bad days, as switches: faults of Slack and of Azure, the bot's process, its connections, the clocks.

import { showText } from "./dialogs.js";
import { Keyed, h } from "./dom.js";
import { wait } from "./messages.js";
import { store } from "./store.js";
import { act, ask } from "./wire.js";

const JUMPS = [["10 s", 10], ["5 min", 300], ["31 min", 1860], ["1 day", 86_400]];
const MEANINGS = { "*": "everything" };

export class Faults {
  constructor() {
    this.slack = h("ul", { class: "cards" });
    this.slackCards = new Keyed(this.slack, (fault) => card(fault, slackSwitch));
    this.azure = h("ul", { class: "cards" });
    this.azureCards = new Keyed(this.azure, (fault) => card(fault, azureSwitch));
    this.status = h("p", { class: "states", "aria-live": "polite" });
    this.root = h(
      "div",
      { class: "panel" },
      h("h2", { tabindex: "-1" }, "Faults"),
      h("h3", {}, "The bot"),
      this.status,
      h(
        "div",
        { class: "buttons" },
        deed("Kill it", "bot", { deed: "kill" }, "danger"),
        deed("Ask it to end", "bot", { deed: "stop" }),
        deed("Start it", "bot", { deed: "start" }, "primary"),
        deed("Cut its sockets", "sockets", { deed: "cut" }),
        deed("Refresh its sockets", "sockets", { deed: "refresh" }),
        h("button", { type: "button", class: "button", onclick: showLog }, "Show its log"),
      ),
      h("h3", {}, "Clocks"),
      h("p", { class: "lead" }, "Moves the time of the simulated Slack (triggers, response URLs, rate limits) and Azure (run commands, agents). The bot's own clock is the real one: its deadlines do not move."),
      ["both", "slack", "azure"].map((clock) => h("div", { class: "buttons" }, h("span", { class: "when clock-name" }, { both: "both", slack: "Slack's", azure: "Azure's" }[clock]), JUMPS.map(([label, seconds]) => deed(`+ ${label}`, "advance", { clock, seconds })))),
      h("h3", {}, "Slack misbehaves"),
      this.slack,
      h("h3", {}, "Azure misbehaves"),
      h("div", { class: "buttons" }, deed("Expire its tokens", "azure", { deed: "expire_tokens" }), deed("Clock of its answers a day behind", "azure", { deed: "skew_clock" }), deed("Clock right again", "azure", { deed: "mend_clock" })),
      this.azure,
    );
  }

  show() {
    const status = store.get("status");
    if (status) {
      this.status.replaceChildren(
        h("span", { class: `state ${status.bot ? "good" : "bad"}` }, status.bot ? `running, process ${status.pid}` : "not running"),
        h("span", { class: `state ${status.sockets || status.door === "http" ? "good" : "bad"}` }, status.door === "http" ? "reached by signed HTTP" : `${status.sockets} sockets open`),
      );
    }
    this.slackCards.show(store.all("slack_fault:").map(([key, fault]) => [key, fault, fault]));
    this.azureCards.show(store.all("azure_fault:").map(([key, fault]) => [key, fault, fault]));
  }
}

function deed(label, name, body, style = "") {
  return h("button", { type: "button", class: `button ${style}`, onclick: (event) => wait(event.currentTarget, () => act(name, body)) }, label);
}

function card(fault, flip) {
  const id = `fault-${fault.kind ?? fault.name}`;
  const times = h("input", { class: "field short", type: "number", min: "1", max: "1000", value: fault.left || 1, "aria-label": "how often", key: "times" });
  const seconds = fault.seconds ? h("input", { class: "field short", type: "number", min: "0", max: "600", value: 5, "aria-label": fault.seconds, key: "seconds" }) : null;
  const place = fault.places ? h("select", { class: "field", "aria-label": "where", key: "place" }, fault.places.map((each) => h("option", { value: each }, MEANINGS[each] ?? each))) : null;
  const change = (event) => wait(event.currentTarget, () => flip(fault, event.target.checked, { times: Number(times.value), seconds: Number(seconds?.value ?? 1), place: place?.value }));
  return h(
    "li",
    { class: `card fault${fault.on ? " on" : ""}`, "data-fault": fault.kind ?? fault.name },
    h("label", { class: "switch", for: id }, h("input", { type: "checkbox", role: "switch", id, key: "switch", checked: fault.on, "aria-describedby": `${id}-about`, onchange: change }), h("span", {}, fault.title)),
    h("p", { id: `${id}-about` }, fault.about),
    h("div", { class: "buttons" }, times, h("small", {}, "times"), place, seconds ? [seconds, h("small", {}, fault.seconds)] : null),
    h("p", { class: "when" }, fault.struck ? `struck ${fault.struck} times` : "has not struck yet"),
  );
}

function slackSwitch(fault, on, { times, seconds, place }) {
  return on ? act("slack-fault", { kind: fault.kind, times, seconds, place }) : act("slack-fault-off", { kind: fault.kind });
}

function azureSwitch(fault, on, { times, seconds }) {
  return on ? act("azure-fault", { name: fault.name, times, seconds }) : act("azure-fault-off", { name: fault.name });
}

async function showLog() {
  const { text } = await ask("log");
  showText({ title: "The bot's log", text: text || "(empty)" });
}
