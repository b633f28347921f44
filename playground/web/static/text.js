// Slack's text: mrkdwn, plain text, mentions, dates and emoji, as nodes. What it does not understand stays as it was
// written; nothing is ever interpreted as HTML.

import { h } from "./dom.js";
import { store } from "./store.js";

const EMOJI = {
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", rotating_light: "🚨", hourglass: "⌛",
  hourglass_flowing_sand: "⏳", rocket: "🚀", tada: "🎉", eyes: "👀", thumbsup: "👍", "+1": "👍", thumbsdown: "👎",
  "-1": "👎", lock: "🔒", no_entry: "⛔", stop_sign: "🛑", question: "❓", exclamation: "❗", information_source: "ℹ️",
  large_green_circle: "🟢", red_circle: "🔴", large_yellow_circle: "🟡", wave: "👋", fire: "🔥", gear: "⚙️",
};
const DATE_PARTS = {
  date_num: { year: "numeric", month: "2-digit", day: "2-digit" },
  date: { year: "numeric", month: "long", day: "numeric" },
  date_short: { year: "numeric", month: "short", day: "numeric" },
  date_long: { weekday: "long", year: "numeric", month: "long", day: "numeric" },
  time: { hour: "2-digit", minute: "2-digit", hour12: false },
  time_secs: { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false },
};
const INLINE = new RegExp(
  [
    "`([^`\\n]+)`",
    "<([^<>\\n]+)>",
    "(?<![\\p{L}\\p{N}*])\\*(?=\\S)([^*\\n]*?\\S)\\*(?![\\p{L}\\p{N}*])",
    "(?<![\\p{L}\\p{N}_])_(?=\\S)([^_\\n]*?\\S)_(?![\\p{L}\\p{N}_])",
    "(?<![\\p{L}\\p{N}~])~(?=\\S)([^~\\n]*?\\S)~(?![\\p{L}\\p{N}~])",
    ":([a-z0-9_+-]+):",
  ].join("|"),
  "gu",
);

export function textNodes(object) {
  if (!object) {
    return [];
  }
  return object.type === "mrkdwn" ? mrkdwn(object.text) : plain(object.text);
}

export function plain(text) {
  return lines(text, (line) => [emojis(line)]);
}

export function mrkdwn(text) {
  const nodes = [];
  for (const [index, part] of String(text).split(/```\n?([\s\S]*?)```/).entries()) {
    if (index % 2) {
      nodes.push(h("pre", { class: "code", tabindex: "0" }, unescaped(part)));
    } else if (part) {
      nodes.push(...quotes(part));
    }
  }
  return nodes;
}

// The text of a message as one line for a notification.
export function oneLine(text) {
  return mrkdwn(text).map((node) => (typeof node === "string" ? node : node.tagName === "BR" ? " " : node.textContent)).join("");
}

function quotes(text) {
  const nodes = [];
  let quoted = [];
  const flush = () => {
    if (quoted.length) {
      nodes.push(h("blockquote", {}, lines(quoted.join("\n"), inline)));
      quoted = [];
    }
  };
  const rows = text.split("\n");
  rows.forEach((row, index) => {
    const mark = row.match(/^(?:&gt;|>) ?(.*)$/);
    if (mark) {
      quoted.push(mark[1]);
      return;
    }
    flush();
    nodes.push(...inline(row));
    if (index < rows.length - 1) {
      nodes.push(h("br"));
    }
  });
  flush();
  return nodes;
}

function lines(text, draw) {
  return String(text).split("\n").flatMap((line, index) => (index ? [h("br"), ...draw(line)] : draw(line)));
}

function inline(text) {
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(unescaped(text.slice(at, found.index)));
    nodes.push(marked(found));
    at = found.index + found[0].length;
  }
  nodes.push(unescaped(text.slice(at)));
  return nodes.filter((node) => node !== "");
}

function marked([whole, code, angle, bold, italic, strike, emoji]) {
  if (code !== undefined) {
    return h("code", {}, unescaped(code));
  }
  if (angle !== undefined) {
    return reference(angle);
  }
  if (emoji !== undefined) {
    return EMOJI[emoji] ?? whole;
  }
  const [tag, inner] = bold !== undefined ? ["strong", bold] : italic !== undefined ? ["em", italic] : ["s", strike];
  return h(tag, {}, inline(inner));
}

function reference(inside) {
  const [target, label] = inside.split("|", 2);
  if (target.startsWith("@")) {
    return mention(target.slice(1), label);
  }
  if (target.startsWith("#")) {
    return channelName(target.slice(1), label);
  }
  if (target.startsWith("!date^")) {
    const [, seconds, format] = target.split("^");
    return date(seconds, format, label);
  }
  if (target.startsWith("!subteam^")) {
    return group(target.slice(9), label);
  }
  if (target.startsWith("!")) {
    return broadcast(target.slice(1).split("^")[0]);
  }
  return link(unescaped(target), unescaped(label ?? target));
}

export function mention(id, label) {
  const user = store.user(id);
  const mine = store.actor?.id === id;
  return h("span", { class: mine ? "mention me" : "mention" }, `@${user ? user.real_name : label ?? id}`);
}

export function channelName(id, label) {
  return h("span", { class: "mention" }, `#${store.get(`channel:${id}`)?.name ?? (label || id)}`);
}

export function group(id, label) {
  const handle = store.get(`group:${id}`)?.handle;
  return h("span", { class: "mention" }, handle ? `@${handle}` : label ?? `@${id}`);
}

export function broadcast(range) {
  return h("span", { class: "mention me" }, `@${range}`);
}

export function link(url, label) {
  const safe = /^(https?|mailto):/i.test(url);
  return safe ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label) : h("span", { title: url }, label);
}

export function date(seconds, format, fallback) {
  const at = new Date(Number(seconds) * 1000);
  if (Number.isNaN(at.getTime())) {
    return fallback ?? String(seconds);
  }
  const written = (format ?? "{date_short_pretty} at {time}").replace(/\{(\w+)\}/g, (whole, name) => datePart(at, name) ?? whole);
  return h("time", { datetime: at.toISOString(), title: fallback ?? at.toString() }, written);
}

function datePart(at, name) {
  const day = name.replace("_pretty", "");
  if (name.endsWith("_pretty")) {
    const near = Math.round((midnight(at) - midnight(new Date())) / 86_400_000);
    const word = { "-1": "yesterday", 0: "today", 1: "tomorrow" }[near];
    if (word) {
      return word;
    }
  }
  return DATE_PARTS[day] && at.toLocaleString([], DATE_PARTS[day]);
}

function midnight(at) {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();
}

export function emoji(name, unicode) {
  if (unicode) {
    return String.fromCodePoint(...unicode.split("-").map((code) => parseInt(code, 16)));
  }
  return EMOJI[name] ?? `:${name}:`;
}

function emojis(text) {
  return String(text).replace(/:([a-z0-9_+-]+):/g, (whole, name) => EMOJI[name] ?? whole);
}

function unescaped(text) {
  return String(text).replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
