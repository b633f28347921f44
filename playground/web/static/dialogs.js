// Dialogs of the page itself: the question before a button counts, a piece of JSON, a whole file. They are the
// browser's own modal dialogs, which keep the focus inside and close with Esc.

import { copy, h } from "./dom.js";
import { plain, textNodes } from "./text.js";

export function showDialog({ title, className = "", body, buttons = [] }) {
  const heading = h("h2", { id: "dialog-title", tabindex: "-1" }, title);
  const close = h("button", { type: "button", class: "icon-button", "aria-label": "Close" , onclick: () => dialog.close() }, "✕");
  const dialog = h(
    "dialog",
    { class: `dialog ${className}`, "aria-labelledby": "dialog-title" },
    h("header", {}, heading, close),
    h("div", { class: "dialog-body" }, body),
    buttons.length ? h("footer", {}, buttons) : null,
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// Ask what the element's `confirm` object says; true when the person goes on.
export function askFirst(confirm) {
  return new Promise((resolve) => {
    let answer = false;
    const deny = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, plain(confirm.deny?.text ?? "Cancel"));
    const style = confirm.style === "danger" ? "danger" : "primary";
    const yes = h("button", { type: "button", class: `button ${style}`, onclick: () => { answer = true; dialog.close(); } }, plain(confirm.confirm?.text ?? "Yes"));
    const dialog = showDialog({ title: confirm.title.text, className: "question", body: h("p", {}, textNodes(confirm.text)), buttons: [deny, yes] });
    dialog.addEventListener("close", () => resolve(answer));
    yes.focus();
  });
}

export function showText({ title, about = "", text, copies = [] }) {
  const buttons = [["Copy", text], ...copies].map(([label, what]) =>
    h("button", { type: "button", class: "button", onclick: (event) => copy(what, event.currentTarget) }, label));
  showDialog({
    title,
    className: "text",
    body: [about ? h("p", {}, about) : null, h("pre", { class: "code tall", tabindex: "0" }, text)],
    buttons,
  });
}
