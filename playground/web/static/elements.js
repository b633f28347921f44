// The elements of Block Kit that people use: buttons, selects, inputs. Only those that the simulated workspace can act
// on are drawn; the others are cards with their JSON. A value is kept in `context.values` under block and action id.

import { unknown } from "./blocks.js";
import { askFirst } from "./dialogs.js";
import { h } from "./dom.js";
import { openMenu } from "./menu.js";
import { store } from "./store.js";
import { plain, textNodes } from "./text.js";

export function drawElement(element, block, context) {
  const draw = Object.hasOwn(ELEMENTS, element?.type) ? ELEMENTS[element.type] : null;
  if (!draw) {
    return unknown(element, `The simulated workspace cannot use an element of the type "${element?.type}"`);
  }
  return draw(element, new Slot(element, block, context));
}

// Where an element stands, what is chosen in it, and what a use of it means there.
class Slot {
  constructor(element, block, context) {
    this.element = element;
    this.block = block;
    this.context = context;
    this.key = `${block.block_id}.${element.action_id}`;
    const known = context.values?.get(this.key);
    this.initial = known !== undefined ? known : fromState(context.state?.[block.block_id]?.[element.action_id]) ?? initial(element);
    const alone = { "aria-label": element.placeholder?.text ?? element.accessibility_label ?? element.action_id };
    this.props = { key: this.key, class: "field", ...(context.input ? inputProps(context.input) : alone) };
  }

  // An input keeps its value until it is submitted; anywhere else, and with `dispatch_action`, the bot is told.
  chosen(value, node) {
    this.context.values?.set(this.key, value);
    if (!this.context.input || this.block.dispatch_action) {
      this.use(value, node);
    }
  }

  typed(value) {
    this.context.values?.set(this.key, value);
  }

  async use(value, node) {
    if (this.element.confirm && !(await askFirst(this.element.confirm))) {
      return;
    }
    await this.context.use(this.block, this.element, value, node);
  }
}

function inputProps({ id, described, invalid, required }) {
  return { id, "aria-describedby": described || null, "aria-invalid": invalid || null, "aria-required": required || null };
}

function fromState(state) {
  if (!state) {
    return undefined;
  }
  const value = state.value ?? state.selected_option?.value ?? state.selected_options?.map((option) => option.value);
  return value ?? state.selected_date ?? state.selected_user ?? state.selected_conversation;
}

function initial(element) {
  return (
    element.initial_value ?? element.initial_option?.value ?? element.initial_options?.map((option) => option.value) ??
    element.initial_date ?? element.initial_user ?? element.initial_conversation ?? null
  );
}

const ELEMENTS = {
  button,
  overflow,
  image: (element) => h("span", { class: "tiny-image", role: "img", "aria-label": element.alt_text }, "▣"),
  static_select: (element, slot) => select(slot, element.options ?? [], element.option_groups),
  users_select: (element, slot) => select(slot, people()),
  conversations_select: (element, slot) => select(slot, conversations(element.filter)),
  multi_static_select: (element, slot) => several(element, slot, "checkbox"),
  checkboxes: (element, slot) => several(element, slot, "checkbox"),
  radio_buttons: (element, slot) => several(element, slot, "radio"),
  datepicker: (element, slot) => simple(slot, "date", "change"),
  plain_text_input: textInput,
  number_input: (element, slot) => simple(slot, "text", "input", { inputmode: element.is_decimal_allowed ? "decimal" : "numeric" }),
};

function button(element, slot) {
  const style = ["primary", "danger"].includes(element.style) ? element.style : "";
  return h(
    "button",
    {
      type: "button",
      class: `button ${style}`,
      key: slot.key,
      "aria-label": element.accessibility_label,
      onclick: (event) => {
        if (/^https?:/i.test(element.url ?? "")) {
          window.open(element.url, "_blank", "noopener,noreferrer");
        }
        slot.use(element.value ?? null, event.currentTarget);
      },
    },
    plain(element.text.text),
  );
}

function overflow(element, slot) {
  const choose = (option, node) => slot.use(option.value, node);
  return h(
    "button",
    {
      type: "button",
      class: "button overflow",
      key: slot.key,
      "aria-label": "More options",
      "aria-haspopup": "menu",
      onclick: (event) => {
        const node = event.currentTarget;
        openMenu(node, element.options.map((option) => ({ label: option.text.text, about: option.description?.text, run: () => choose(option, node) })));
      },
    },
    "⋯",
  );
}

function select(slot, options, groups) {
  const draw = (option) => h("option", { value: option.value, selected: option.value === slot.initial }, option.text.text);
  return h(
    "select",
    { ...slot.props, onchange: (event) => slot.chosen(event.target.value || null, event.target) },
    h("option", { value: "" }, slot.element.placeholder?.text ?? "Choose"),
    groups ? groups.map((each) => h("optgroup", { label: each.label.text }, each.options.map(draw))) : options.map(draw),
  );
}

function people() {
  const users = store.all("user:").map(([, user]) => user).filter((user) => !user.bot && !user.deleted);
  return users.map((user) => ({ value: user.id, text: { text: user.real_name } }));
}

function conversations(filter) {
  const wanted = filter?.include;
  const kind = (channel) => (channel.direct ? "im" : channel.private ? "private" : "public");
  const mine = store.all("channel:").map(([, channel]) => channel).filter((channel) => channel.members.includes(store.actor.id));
  return mine
    .filter((channel) => !channel.archived && (!wanted || wanted.includes(kind(channel))))
    .map((channel) => ({ value: channel.id, text: { text: channel.direct ? "Runbook Bot" : `#${channel.name}` } }));
}

function several(element, slot, type) {
  const options = element.options ?? element.option_groups.flatMap((group) => group.options);
  const chosen = new Set([slot.initial ?? []].flat());
  const name = `${slot.context.surface}-${slot.key}`;
  const change = (option, event) => {
    if (type === "radio") {
      chosen.clear();
    }
    (event.target.checked ? chosen.add(option.value) : chosen.delete(option.value));
    slot.chosen(type === "radio" ? option.value : [...chosen], event.target);
  };
  return h(
    "div",
    { class: "options", role: type === "radio" ? "radiogroup" : "group", id: slot.props.id, "aria-labelledby": slot.context.input?.labelled || null, "aria-label": slot.props["aria-label"], "aria-describedby": slot.props["aria-describedby"] },
    options.map((option) =>
      h(
        "label",
        { class: "option" },
        h("input", { type, name, key: `${slot.key}.${option.value}`, checked: chosen.has(option.value), onchange: (event) => change(option, event) }),
        h("span", {}, textNodes(option.text), option.description ? h("small", {}, textNodes(option.description)) : null),
      )),
  );
}

function simple(slot, type, on, more = {}) {
  return h("input", {
    ...slot.props,
    ...more,
    type,
    value: slot.initial ?? "",
    placeholder: slot.element.placeholder?.text,
    [`on${on}`]: (event) => (on === "change" ? slot.chosen(event.target.value || null, event.target) : slot.typed(event.target.value || null)),
    onkeydown: (event) => dispatchOnEnter(event, slot),
  });
}

function textInput(element, slot) {
  if (!element.multiline) {
    return simple(slot, "text", "input", { autocomplete: "off", spellcheck: "false" });
  }
  return h(
    "textarea",
    { ...slot.props, rows: "4", placeholder: element.placeholder?.text, value: slot.initial ?? "", oninput: (event) => slot.typed(event.target.value || null) },
  );
}

function dispatchOnEnter(event, slot) {
  if (event.key === "Enter" && slot.block.dispatch_action) {
    event.preventDefault();
    slot.use(event.target.value || null, event.target);
  }
}
