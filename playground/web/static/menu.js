// A small menu beside a button: arrow keys move, Enter chooses, Esc closes and gives the focus back.

import { h } from "./dom.js";

let open = null;

export function openMenu(anchor, items) {
  closeMenu();
  const menu = h("div", { class: "menu", role: "menu" }, items.map((item) => entry(item, anchor)));
  menu.addEventListener("keydown", (event) => move(event, menu, anchor));
  document.getElementById("main").append(menu);
  place(menu, anchor);
  anchor.setAttribute("aria-expanded", "true");
  open = { menu, anchor };
  menu.firstElementChild?.focus();
  setTimeout(() => addEventListener("pointerdown", outside), 0);
}

export function closeMenu() {
  if (open) {
    open.menu.remove();
    open.anchor.removeAttribute("aria-expanded");
    removeEventListener("pointerdown", outside);
    open = null;
  }
}

function entry(item, anchor) {
  return h(
    "button",
    {
      type: "button",
      role: "menuitem",
      class: "menu-item",
      onclick: () => {
        closeMenu();
        anchor.focus();
        item.run();
      },
    },
    item.label,
    item.about ? h("small", {}, item.about) : null,
  );
}

function move(event, menu, anchor) {
  const items = [...menu.children];
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    items.at(to % items.length).focus();
  } else if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    event.stopPropagation();
    closeMenu();
    anchor.focus();
  }
}

function outside(event) {
  if (open && !open.menu.contains(event.target)) {
    closeMenu();
  }
}

function place(menu, anchor) {
  const box = anchor.getBoundingClientRect();
  const left = Math.min(box.left, innerWidth - menu.offsetWidth - 8);
  const below = box.bottom + menu.offsetHeight + 8 < innerHeight;
  menu.style.left = `${Math.max(8, left)}px`;
  menu.style.top = `${Math.max(8, below ? box.bottom + 4 : box.top - menu.offsetHeight - 4)}px`;
}
