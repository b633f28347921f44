// Block Kit as elements of a page. A block that is not known here, or that is not as it should be, is shown as a card
// with its JSON: nothing a bot sends is ever left out silently. Nothing here may load anything from elsewhere.

import { h, json } from "./dom.js";
import { drawElement } from "./elements.js";
import { markdown } from "./markdown.js";
import { broadcast, channelName, date, emoji, group, link, mention, plain, textNodes } from "./text.js";

// `context` says what happens on a use: { use(block, element, value, node), values, errors, surface }.
export function drawBlocks(blocks, context) {
  return blocks.map((block, index) => drawBlock(block, { ...context, index }));
}

function drawBlock(block, context) {
  const draw = Object.hasOwn(BLOCKS, block?.type) ? BLOCKS[block.type] : null;
  try {
    if (draw) {
      return h("div", { class: `block block-${block.type}` }, draw(block, context));
    }
  } catch (problem) {
    return unknown(block, `This ${block?.type} block is not as it should be (${problem.message})`);
  }
  return unknown(block, `The playground cannot draw a block of the type "${block?.type}"`);
}

export function unknown(thing, why) {
  return h(
    "div",
    { class: "unknown", role: "note" },
    h("p", {}, `${why}. Slack may well show it; this is its JSON:`),
    h("pre", { class: "code", tabindex: "0" }, json(thing)),
  );
}

const BLOCKS = {
  header: (block) => h("h3", {}, plain(block.text.text)),
  divider: () => h("hr"),
  section,
  context: (block, context) => h("div", { class: "context" }, block.elements.map((each) => contextElement(each, block, context))),
  actions: (block, context) => block.elements.map((each) => drawElement(each, block, context)),
  context_actions: (block, context) => block.elements.map((each) => drawElement(each, block, context)),
  input,
  image,
  rich_text: (block) => block.elements.map(richPart),
  markdown: (block) => markdown(block.text),
  table,
};

function section(block, context) {
  return [
    h(
      "div",
      { class: "section-text" },
      block.text ? h("div", {}, textNodes(block.text)) : null,
      block.fields ? h("div", { class: "fields" }, block.fields.map((field) => h("div", {}, textNodes(field)))) : null,
    ),
    block.accessory ? h("div", { class: "accessory" }, block.accessory.type === "image" ? image(block.accessory) : drawElement(block.accessory, block, context)) : null,
  ];
}

function contextElement(element, block, context) {
  if (element.type === "image") {
    return h("span", { class: "tiny-image", role: "img", "aria-label": element.alt_text, title: element.image_url }, "▣");
  }
  return ["mrkdwn", "plain_text"].includes(element.type) ? h("span", {}, textNodes(element)) : drawElement(element, block, context);
}

function input(block, context) {
  const id = `${context.surface}-${block.block_id ?? context.index}`.replace(/[^\w-]/g, "_");
  const error = context.errors?.[block.block_id];
  const described = [block.hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  const grouped = ["checkboxes", "radio_buttons", "multi_static_select"].includes(block.element.type);
  const label = [textNodes(block.label), block.optional ? h("span", { class: "optional" }, " (optional)") : null];
  return [
    grouped ? h("div", { class: "label", id: `${id}-label` }, label) : h("label", { for: id }, label),
    drawElement(block.element, block, {
      ...context,
      input: { id, described, invalid: Boolean(error), required: !block.optional, labelled: grouped ? `${id}-label` : "" },
    }),
    error ? h("p", { class: "field-error", id: `${id}-error` }, `⚠ ${error}`) : null,
    block.hint ? h("p", { class: "hint", id: `${id}-hint` }, textNodes(block.hint)) : null,
  ];
}

// Pictures from the network are not loaded: the playground makes no request that leaves this machine.
function image(block) {
  const url = block.image_url ?? block.slack_file?.url ?? block.slack_file?.id ?? "";
  const drawn = url.startsWith("data:image/")
    ? h("img", { src: url, alt: block.alt_text })
    : h("div", { class: "no-image", role: "img", "aria-label": block.alt_text }, `Image: ${block.alt_text}`, h("small", {}, `not loaded: ${url}`));
  return h("figure", {}, block.title ? h("figcaption", {}, textNodes(block.title)) : null, drawn);
}

function table(block) {
  const [head, ...rows] = block.rows;
  const style = (index) => `align-${block.column_settings?.[index]?.align ?? "left"}`;
  const cells = (row, tag) => row.map((cell, index) => h(tag, { class: style(index), scope: tag === "th" ? "col" : null }, cellText(cell)));
  return h(
    "div",
    { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Table" },
    h("table", {}, h("thead", {}, h("tr", {}, cells(head, "th"))), h("tbody", {}, rows.map((row) => h("tr", {}, cells(row, "td"))))),
  );
}

function cellText(cell) {
  if (cell.type === "raw_text") {
    return cell.text;
  }
  return cell.type === "rich_text" ? cell.elements.map(richPart) : unknown(cell, `A cell of the type "${cell.type}"`);
}

function richPart(part) {
  switch (part.type) {
    case "rich_text_section":
      return h("div", { class: "rich-section" }, part.elements.map(richInline));
    case "rich_text_preformatted":
      return h("pre", { class: "code", tabindex: "0" }, part.elements.map(richInline));
    case "rich_text_quote":
      return h("blockquote", {}, part.elements.map(richInline));
    case "rich_text_list":
      return h(
        part.style === "ordered" ? "ol" : "ul",
        { class: `indent-${Math.min(part.indent ?? 0, 6)}`, start: part.offset ? part.offset + 1 : null },
        part.elements.map((each) => h("li", {}, each.elements.map(richInline))),
      );
    default:
      return unknown(part, `The playground cannot draw "${part.type}"`);
  }
}

const STYLES = { bold: "strong", italic: "em", strike: "s", code: "code", underline: "u" };

function richInline(element) {
  const draw = Object.hasOwn(INLINE, element.type) ? INLINE[element.type] : null;
  if (!draw) {
    return unknown(element, `The playground cannot draw "${element.type}"`);
  }
  return Object.entries(STYLES).reduce((inner, [name, tag]) => (element.style?.[name] ? h(tag, {}, inner) : inner), draw(element));
}

const INLINE = {
  text: (element) => document.createTextNode(element.text),
  link: (element) => link(element.url, element.text ?? element.url),
  user: (element) => mention(element.user_id),
  usergroup: (element) => group(element.usergroup_id),
  channel: (element) => channelName(element.channel_id),
  emoji: (element) => emoji(element.name, element.unicode),
  broadcast: (element) => broadcast(element.range),
  date: (element) => date(element.timestamp, element.format, element.fallback),
  color: (element) => h("code", {}, element.value),
};
