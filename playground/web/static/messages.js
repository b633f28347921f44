// One message: who, when, its blocks or text, files, what only this person sees, and a menu. Also the list of them,
// which draws again only what has changed.

import { drawBlocks, unknown } from "./blocks.js";
import { showText } from "./dialogs.js";
import { Keyed, clock, h, json, size } from "./dom.js";
import { openMenu } from "./menu.js";
import { store } from "./store.js";
import { mrkdwn, oneLine } from "./text.js";
import { act, ask } from "./wire.js";

const AT_END = 40;
const PAGE = 100;

export function avatar(user) {
  const initials = (user?.real_name ?? "?").split(" ").map((word) => word[0]).slice(0, 2).join("");
  return h("span", { class: `avatar avatar-${user?.name ?? "none"}`, "aria-hidden": "true" }, user?.bot ? "⚙" : initials);
}

// `place` is "channel" or "thread"; `replies` is what the root message says about its thread. A message that cannot be
// drawn is a card, and the others stay.
function drawMessage(item) {
  try {
    return draw(item);
  } catch (problem) {
    return h("li", { class: "message" }, unknown(item.message, `The playground cannot draw this message (${problem.message})`));
  }
}

function draw({ message, replies, place }) {
  const user = store.user(message.user);
  return h(
    "li",
    { class: `message${message.only_for ? " whisper" : ""}`, "data-ts": message.ts },
    h(
      "article",
      { "aria-label": `${user?.real_name ?? message.user} at ${clock(message.ts)}` },
      avatar(user),
      h(
        "div",
        { class: "message-main" },
        message.only_for ? h("p", { class: "only-you" }, "Only visible to you") : null,
        head(message, user),
        message.broadcast && place === "channel" ? h("p", { class: "only-you" }, "replied to a thread") : null,
        h("div", { class: "message-body" }, body(message, place)),
        message.files.map(file),
        reactions(message),
        both(message),
        replies && place === "channel" ? threadLink(message, replies) : null,
      ),
    ),
  );
}

function head(message, user) {
  return h(
    "p",
    { class: "message-head" },
    h("strong", {}, user?.real_name ?? message.user),
    user?.bot ? h("span", { class: "badge" }, "APP") : null,
    h("time", { class: "when" }, clock(message.ts)),
    message.edited ? h("span", { class: "when" }, "(edited)") : null,
    h("button", { type: "button", class: "more", key: "more", "aria-haspopup": "menu", "aria-label": "More about this message", onclick: (event) => menu(event.currentTarget, message) }, "⋯"),
  );
}

function body(message, place) {
  if (!message.blocks.length) {
    return mrkdwn(message.text);
  }
  return drawBlocks(message.blocks, { surface: `${place}-${message.ts}`, use: (block, element, value, node) => click(message, block, element, value, node) });
}

async function click(message, block, element, value, node) {
  await wait(node, () => act("click", {
    actor: store.actor.name, channel: message.channel, ts: message.ts, block_id: block.block_id ?? "", action_id: element.action_id, value,
  }));
}

// Mark an element as busy while the bot has not acknowledged; show Slack's warning triangle when it never does.
export async function wait(node, work) {
  node.setAttribute("aria-busy", "true");
  node.parentElement?.querySelector(".warning")?.remove();
  const answer = await work();
  node.removeAttribute("aria-busy");
  if (answer.error && node.isConnected) {
    node.after(h("span", { class: "warning", role: "alert" }, `⚠ ${answer.error}`));
  }
  return answer;
}

function both(message) {
  const { decisions = [], approvers = [] } = store.get("workspace") ?? {};
  const block = message.blocks.find((each) => each?.type === "actions" && each.elements?.some((element) => decisions.includes(element.action_id)));
  if (!block || message.only_for || approvers.length < 2) {
    return null;
  }
  const element = block.elements.find((each) => decisions.includes(each.action_id));
  const people = approvers.slice(0, 2).map((id) => store.user(id));
  const names = people.map((user) => user.real_name.split(" ")[0]).join(" and ");
  const go = (event) => wait(event.currentTarget, () => act("both", {
    actors: people.map((user) => user.name), channel: message.channel, ts: message.ts, block_id: block.block_id, action_id: element.action_id,
  }));
  return h(
    "div",
    { class: "playground-only" },
    h("button", { type: "button", class: "button quiet", key: "both", onclick: go }, `Both approve at once (${names})`),
    h("small", {}, "playground only"),
  );
}

function file(shared) {
  const whole = async () => showText({ title: shared.name, text: (await ask(`file/${shared.id}`)).text });
  return h(
    "figure",
    { class: "file" },
    h("figcaption", {}, h("strong", {}, shared.title), h("span", { class: "when" }, ` ${size(shared.size)}`)),
    h("pre", { class: "code", tabindex: "0" }, shared.preview),
    shared.cut ? h("p", { class: "hint" }, "This is its beginning.") : null,
    h("button", { type: "button", class: "link", key: `file-${shared.id}`, onclick: whole }, "Open the whole file"),
  );
}

function reactions(message) {
  const found = Object.entries(message.reactions);
  return found.length ? h("p", { class: "reactions" }, found.map(([name, users]) => h("span", {}, ...mrkdwn(`:${name}:`), ` ${users.length}`))) : null;
}

function threadLink(message, replies) {
  const count = replies.count === 1 ? "1 reply" : `${replies.count} replies`;
  return h("button", { type: "button", class: "link thread-link", key: "thread", onclick: () => store.go({ thread: message.ts }) }, count, h("span", { class: "when" }, `last at ${clock(replies.last)} · open thread`));
}

function menu(anchor, message) {
  const shortcuts = (store.get("workspace")?.shortcuts ?? []).filter((each) => each.type === "message" && !message.only_for);
  openMenu(anchor, [
    ...shortcuts.map((each) => ({ label: each.name, about: "message shortcut of Runbook Bot", run: () => shortcut(anchor, each, message) })),
    ...(message.only_for ? [] : [{ label: "Reply in thread", run: () => store.go({ thread: message.thread_ts ?? message.ts }) }]),
    { label: "Notification preview", about: "the top-level text, as phones and screen readers get it", run: () => showText({ title: "Notification preview", about: "What a phone shows and a screen reader reads: the message's top-level text.", text: oneLine(message.text) || "(empty)" }) },
    { label: "JSON", about: "the message as the bot sent it", run: () => showText({ title: "Message as JSON", text: json(message) }) },
  ]);
}

async function shortcut(anchor, { callback_id }, message) {
  await wait(anchor, () => act("message-shortcut", { actor: store.actor.name, callback_id, channel: message.channel, ts: message.ts }));
}

// A list of messages that keeps to its end as long as the reader is there.
export class MessageList {
  constructor(label, place) {
    this.place = place;
    this.list = h("ol", { class: "messages-list" });
    this.earlier = h("button", { type: "button", class: "link earlier", onclick: () => this.#more() }, "Show earlier messages");
    this.root = h("div", { class: "messages", tabindex: "0", role: "region", "aria-label": label }, this.earlier, this.list);
    this.most = PAGE;
    this.keyed = new Keyed(this.list, drawMessage);
    this.following = true;
    this.root.addEventListener("scroll", () => this.#scrolled());
    const keep = new ResizeObserver(() => this.following && this.toEnd());
    keep.observe(this.list);
    keep.observe(this.root);
  }

  show(all) {
    this.all = all;
    const items = all.slice(-this.most);
    this.earlier.hidden = items.length === all.length;
    const actor = store.actor?.id;
    const versions = items.map(({ message, replies }) => {
      const id = `${message.only_for ?? ""}/${message.ts}`;
      const known = this.versions?.get(id);
      const same = known && known.message === message && known.count === replies?.count && known.actor === actor;
      return [id, same ? known : { message, count: replies?.count, actor }];
    });
    this.versions = new Map(versions);
    this.keyed.show(items.map((item, index) => [versions[index][0], versions[index][1], { ...item, place: this.place }]));
  }

  #more() {
    const { scrollHeight, scrollTop } = this.root;
    this.most += PAGE;
    this.following = false;
    this.show(this.all);
    this.root.scrollTop = scrollTop + this.root.scrollHeight - scrollHeight;
    this.root.focus();
  }

  // A list that grew under the reader has not been scrolled by them.
  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.root;
    const grown = scrollHeight !== this.height;
    this.height = scrollHeight;
    if (grown && this.following) {
      this.toEnd();
    } else {
      this.following = scrollHeight - scrollTop - clientHeight < AT_END;
    }
  }

  toEnd() {
    this.following = true;
    this.root.scrollTop = this.root.scrollHeight;
  }

  clear() {
    this.versions = new Map();
    this.most = PAGE;
    this.keyed.clear();
  }
}
