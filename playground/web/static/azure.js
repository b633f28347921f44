// The machines: power, agent, what runs on them now, what happened there; below, the cloud's own ledger.

import { showText } from "./dialogs.js";
import { Keyed, h, json } from "./dom.js";
import { wait } from "./messages.js";
import { store } from "./store.js";
import { act, ask } from "./wire.js";

const DEEDS = [["start", "Start"], ["stop", "Stop"], ["deallocate", "Deallocate"], ["reboot", "Reboot"], ["recreate", "Recreate"], ["forgetful_upgrade", "Upgrade extension, forgetting"], ["take_snapshot", "Copy disk"], ["restore_snapshot", "Put the copy back"]];
const RARE = 5;
const QUIRKS = {
  agent_late: "the agent begins an hour late (of the cloud's time)",
  pending_forever: "results stay Pending for ever",
  running_after_exit: "results stay Running after the end",
  outbound_blocked: "the agent cannot report",
  delete_stuck: "deleting a command never ends",
  agent_hidden: "the agent's state is hidden",
  action_wedged: "an action command never gives its slot back",
};

export class Azure {
  constructor() {
    this.machines = h("ul", { class: "cards machines" });
    this.keyed = new Keyed(this.machines, drawMachine);
    this.executions = h("tbody");
    this.executionRows = new Keyed(this.executions, drawExecution);
    this.requests = h("tbody");
    this.requestRows = new Keyed(this.requests, drawRequest);
    this.root = h(
      "div",
      { class: "panel" },
      h("h2", { tabindex: "-1" }, "Azure"),
      h("p", { class: "lead" }, "Simulated machines: scripts really run, each in a scratch folder of its own. What is pressed here happens at once and behind the bot's back."),
      this.machines,
      h("h2", {}, "Executions"),
      h("p", { class: "lead" }, "Every start of a script on a machine, as the machine saw it. This is what proves that nothing ran twice."),
      frame("Executions", ["Machine", "Command", "Started", "Ended", "Exit code"], this.executions),
      h("h2", {}, "Requests"),
      h("p", { class: "lead" }, "What the bot asked of Azure, newest first: the status of the work, and what left on the wire."),
      frame("Requests", ["Time", "Method", "Path", "Done", "Sent", "Fault"], this.requests),
    );
  }

  show() {
    this.keyed.show(store.all("vm:").sort().map(([key, vm]) => [key, vm, vm]));
    this.executionRows.show(newest("execution:"));
    this.requestRows.show(newest("request:"));
  }
}

function newest(prefix) {
  return store.all(prefix).sort(([one], [other]) => (one < other ? 1 : -1)).map(([key, row]) => [key, row, row]);
}

function frame(label, heads, body) {
  return h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": label }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), body));
}

function drawMachine(vm) {
  const broken = vm.agent === "broken";
  const button = (deed, label, style = "") =>
    h("button", { type: "button", class: `button ${style}`, key: deed, onclick: (event) => wait(event.currentTarget, () => act("vm", { vm: vm.name, deed })) }, label);
  return h(
    "li",
    { class: "card machine", "data-vm": vm.name },
    h("h3", {}, vm.name),
    h("p", { class: "states" }, state("power", vm.power), state("agent", vm.agent), h("span", { class: "when" }, `run commands ${vm.slots.length} of ${vm.slots_max}`)),
    h("div", { class: "buttons" }, DEEDS.slice(0, RARE).map(([deed, label]) => button(deed, label)), broken ? button("repair_agent", "Repair agent") : button("break_agent", "Break agent")),
    part("Running now", vm.processes.map((one) => h("li", {}, h("code", {}, `${one.pid}`), ` ${one.command}`)), "nothing"),
    part("Run commands", vm.slots.map((slot) => h("li", {}, h("code", {}, slot.name), ` ${[slot.provisioning, slot.state].filter(Boolean).join(", ")}${slot.state === "Succeeded" || slot.state === "Failed" ? `, exit code ${slot.exit_code}` : ""}`)), "none"),
    part("Effects", vm.effects.map((effect) => h("li", {}, h("code", {}, effect))), "nothing has been changed"),
    quirks(vm, DEEDS.slice(RARE).map(([deed, label]) => button(deed, label))),
  );
}

function state(what, value) {
  const good = ["running", "ready"].includes(value);
  const bad = ["broken", "cannot report"].includes(value);
  return h("span", { class: `state ${good ? "good" : bad ? "bad" : "idle"}` }, `${what}: ${value}`);
}

function part(title, items, otherwise) {
  if (!items.length) {
    return h("p", { class: "when" }, h("strong", {}, `${title}: `), otherwise);
  }
  return [h("h4", {}, title), h("ul", { class: "plain-list" }, items)];
}

function quirks(vm, deeds) {
  const on = Object.values(vm.quirks).filter(Boolean).length;
  const toggle = (quirk, event) => wait(event.currentTarget, () => act("quirk", { vm: vm.name, quirk, on: event.currentTarget?.checked ?? event.target.checked }));
  return h(
    "details",
    { key: "quirks" },
    h("summary", { key: "quirks-summary" }, `Misbehaviour${on ? ` (${on} on)` : ""}`),
    Object.entries(QUIRKS).map(([quirk, about]) =>
      h("label", { class: "option" }, h("input", { type: "checkbox", key: quirk, checked: vm.quirks[quirk], onchange: (event) => toggle(quirk, event) }), h("span", {}, about))),
    h("div", { class: "buttons" }, deeds),
  );
}

function time(iso) {
  return iso ? new Date(iso).toLocaleTimeString([], { hour12: false }) : "";
}

function drawExecution(one) {
  const ended = one.ended ? time(one.ended) : "still runs";
  return h("tr", {}, [one.vm, h("code", {}, one.name), time(one.started), ended, one.exit_code ?? (one.ended_by ?? "")].map((cell) => h("td", {}, cell)));
}

function drawRequest(one) {
  const path = one.path.replace(/^\/subscriptions\/[^/]+/, "…").replace("/providers/Microsoft.Compute", "");
  const cells = [
    time(one.at), one.method, h("button", { type: "button", class: "link path", key: "open", onclick: () => details(one) }, path || "/"),
    one.done ?? "nothing", one.sent ?? "nothing", one.fault ?? "",
  ];
  return h("tr", { class: one.fault ? "struck" : "" }, cells.map((cell) => h("td", {}, cell)));
}

async function details(one) {
  const whole = await ask(`request/${one.number}`);
  const query = new URLSearchParams(whole.query).toString();
  const body = whole.body ? ` \\\n  -H 'Content-Type: application/json' -d '${JSON.stringify(whole.body).replaceAll("'", "'\\''")}'` : "";
  const curl = `curl --cacert "$REQUESTS_CA_BUNDLE" -X ${whole.method} '${store.get("status").azure_url}${whole.path}?${query}' \\\n  -H "Authorization: Bearer $TOKEN"${body}`;
  showText({ title: `${whole.method} request ${one.number + 1}`, text: json(whole), copies: [["Copy as curl", curl]] });
}
