// The `markdown` block: headings, lists, quotes, code, links and emphasis. Anything else stays as it was written.

import { h } from "./dom.js";
import { link } from "./text.js";

const INLINE = /`([^`\n]+)`|\[([^\]\n]+)\]\(([^)\s]+)\)|\*\*(.+?)\*\*|__(.+?)__|\*(.+?)\*|\b_(.+?)_\b|~~(.+?)~~/g;

export function markdown(text) {
  const rows = text.split("\n");
  const nodes = [];
  while (rows.length) {
    nodes.push(block(rows));
  }
  return nodes.filter(Boolean);
}

function block(rows) {
  const row = rows.shift();
  const heading = row.match(/^(#{1,6}) (.*)$/);
  if (heading) {
    return h(`h${Math.min(6, heading[1].length + 2)}`, {}, inline(heading[2]));
  }
  if (row.startsWith("```")) {
    const code = takeWhile(rows, (each) => !each.startsWith("```"));
    rows.shift();
    return h("pre", { class: "code", tabindex: "0" }, code.join("\n"));
  }
  if (/^(---+|\*\*\*+)$/.test(row)) {
    return h("hr");
  }
  for (const [pattern, tag] of [[/^\s*[-*+] (.*)$/, "ul"], [/^\s*\d+[.)] (.*)$/, "ol"]]) {
    if (pattern.test(row)) {
      const items = [row, ...takeWhile(rows, (each) => pattern.test(each))];
      return h(tag, {}, items.map((each) => h("li", {}, inline(each.match(pattern)[1]))));
    }
  }
  if (row.startsWith(">")) {
    const quoted = [row, ...takeWhile(rows, (each) => each.startsWith(">"))];
    return h("blockquote", {}, quoted.map((each) => h("div", {}, inline(each.replace(/^> ?/, "")))));
  }
  return row.trim() ? h("p", {}, inline(row)) : null;
}

function takeWhile(rows, test) {
  const taken = [];
  while (rows.length && test(rows[0])) {
    taken.push(rows.shift());
  }
  return taken;
}

function inline(text) {
  const nodes = [];
  let at = 0;
  for (const [whole, code, label, url, strong, strong2, em, em2, strike] of text.matchAll(INLINE)) {
    const start = text.indexOf(whole, at);
    nodes.push(text.slice(at, start));
    at = start + whole.length;
    nodes.push(
      code !== undefined ? h("code", {}, code)
        : url !== undefined ? link(url, label)
          : strike !== undefined ? h("s", {}, inline(strike))
            : strong ?? strong2 ? h("strong", {}, inline(strong ?? strong2)) : h("em", {}, inline(em ?? em2)),
    );
  }
  return [...nodes, text.slice(at)].filter((node) => node !== "");
}
