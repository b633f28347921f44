// The page: its head with views and people, and the view that is open. Everything else is drawn by the views.

import { Azure } from "./azure.js";
import { h } from "./dom.js";
import { Faults } from "./faults.js";
import { Inspector } from "./inspector.js";
import { avatar } from "./messages.js";
import { Stories } from "./stories.js";
import { store } from "./store.js";
import { oneLine } from "./text.js";
import { listen } from "./wire.js";
import { Workspace } from "./workspace.js";

const VIEWS = { workspace: ["Workspace", Workspace], azure: ["Azure", Azure], inspector: ["Inspector", Inspector], faults: ["Faults", Faults], stories: ["Stories", Stories] };
const THEME = "playground-theme";
const THEMES = { auto: "◐", light: "☀", dark: "☾" };
const ANNOUNCED = 20;

const main = document.getElementById("main");
const announcer = document.getElementById("announcer");
const views = new Map();
const heard = new Set();

function head() {
  const theme = h("button", { type: "button", class: "button quiet theme", onclick: () => turn(theme) });
  paint(theme, localStorage.getItem(THEME) ?? "auto");
  const nav = h("nav", { "aria-label": "Views", class: "views" }, Object.entries(VIEWS).map(([name, [label]]) =>
    h("button", { type: "button", class: "view", "data-view": name, onclick: () => { store.go({ view: name }); } }, label)));
  document.getElementById("top").append(
    nav,
    h("fieldset", { class: "people", id: "people" }, h("legend", {}, "Acting as")),
    theme,
    h("p", { class: "offline", id: "offline", role: "alert", hidden: true }),
  );
  document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
}

function turn(button) {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
  localStorage.setItem(THEME, next);
  paint(button, next);
}

function paint(button, theme) {
  document.documentElement.dataset.theme = theme;
  button.textContent = THEMES[theme] ?? THEMES.auto;
  button.setAttribute("aria-label", `Colours: ${theme}`);
  button.title = `Colours: ${theme}`;
}

function showPeople() {
  const people = store.all("user:").map(([, user]) => user).filter((user) => !user.bot);
  const waiting = new Set(people.filter((user) => store.get(`modal:${user.id}`)).map((user) => user.id));
  const signature = JSON.stringify([people, [...waiting], store.actor?.id]);
  if (signature === showPeople.signature) {
    return;
  }
  showPeople.signature = signature;
  const box = document.getElementById("people");
  const focused = box.contains(document.activeElement) ? document.activeElement.value : "";
  box.replaceChildren(h("legend", {}, "Acting as"), ...people.map((user) =>
    h(
      "label",
      { class: "person", title: `${user.real_name}, ${user.role}` },
      h("input", { type: "radio", name: "actor", value: user.name, checked: store.actor?.id === user.id, onchange: () => store.go({ actor: user.name }) }),
      avatar(user),
      h("span", { class: "person-name" }, user.real_name.split(" ")[0], h("small", {}, user.role)),
      waiting.has(user.id) ? h("span", { class: "dot" }, h("span", { class: "unseen" }, "has an open dialog")) : null,
    )));
  box.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus();
}

function showView() {
  const name = Object.hasOwn(VIEWS, store.place.view) ? store.place.view : "workspace";
  if (!views.has(name)) {
    views.set(name, new VIEWS[name][1]());
  }
  const view = views.get(name);
  if (main.dataset.view !== name) {
    const moved = main.dataset.view !== undefined;
    for (const [other, { root }] of views) {
      root.hidden = other !== name;
    }
    if (!view.root.isConnected) {
      main.querySelector(".starting")?.remove();
      main.append(view.root);
    }
    main.dataset.view = name;
    main.scrollTop = 0;
    document.title = `${VIEWS[name][0]} · Runbook Bot playground`;
    if (moved && document.activeElement === document.body) {
      main.focus();
    }
  }
  for (const button of document.querySelectorAll(".view")) {
    button.setAttribute("aria-current", button.dataset.view === name ? "page" : "false");
  }
  view.show();
}

// Read new messages aloud by their top-level text, as a screen reader does it in Slack.
function announce(changed) {
  for (const key of changed) {
    if (!/^(message|whisper):/.test(key) || heard.has(key)) {
      continue;
    }
    heard.add(key);
    const message = store.get(key);
    const allowed = message && (message.only_for ? message.only_for === store.actor.id : store.get(`channel:${message.channel}`)?.members.includes(store.actor.id));
    if (allowed && !changed.has("*")) {
      announcer.append(h("p", {}, `${store.user(message.user)?.real_name ?? ""}${message.only_for ? ", only visible to you" : ""}: ${oneLine(message.text)}`));
      if (announcer.childElementCount > ANNOUNCED) {
        announcer.firstElementChild.remove();
      }
    }
  }
}

function showConnection() {
  const offline = document.getElementById("offline");
  const status = store.get("status");
  const told = !store.connected ? "No connection to the playground. Trying again…" : status && !status.bot ? "The bot is not running." : "";
  offline.hidden = !told;
  if (offline.textContent !== told) {
    offline.textContent = told;
  }
}

head();
store.listeners.add((changed) => {
  if (!store.get("workspace")) {
    return;
  }
  showPeople();
  showConnection();
  announce(changed);
  if (!views.has("workspace")) {
    views.set("workspace", new Workspace());
  }
  views.get("workspace").note(changed);
  showView();
});
listen((why) => {
  main.replaceChildren(h("div", { class: "panel" }, h("h2", {}, "This page cannot be opened"), h("p", {}, why)));
});
