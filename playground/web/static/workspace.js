// The workspace: channels at the left, a conversation in the middle, a thread or nothing at the right. On a narrow
// screen one of them at a time.

import { Composer } from "./composer.js";
import { h } from "./dom.js";
import { MessageList, wait } from "./messages.js";
import { store } from "./store.js";
import { StoryStrip } from "./stories.js";
import { oneLine } from "./text.js";
import { Home, Modal } from "./views.js";
import { act } from "./wire.js";

const EXAMPLE = "/runbook execute restart-web vm=web-01 ticket=INC-1042";
export const HOME = "home";
const DIRECT = "direct";

export class Workspace {
  constructor() {
    this.unread = new Set();
    this.strip = new StoryStrip();
    this.side = h("nav", { class: "side", "aria-label": "Channels" });
    this.notification = h("p", { class: "notification-text" });
    this.messages = new MessageList("Messages of the channel", "channel");
    this.replies = new MessageList("Messages of the thread", "thread");
    this.composer = new Composer({ inThread: false });
    this.reply = new Composer({ inThread: true });
    this.home = new Home();
    this.modal = new Modal();
    this.title = h("div", { class: "pane-head" });
    this.empty = this.#welcome();
    this.channel = h("section", { class: "channel", "aria-labelledby": "channel-name" }, this.title, this.home.root, this.empty, this.messages.root, this.composer.root);
    this.thread = h("aside", { class: "thread", "aria-label": "Thread" }, this.#threadHead(), this.replies.root, this.reply.root);
    this.root = h("div", { class: "workspace" }, this.strip.root, h("div", { class: "panes" }, this.side, this.channel, this.thread));
    this.thread.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) {
        this.#closeThread();
      }
    });
  }

  #welcome() {
    return h(
      "div",
      { class: "welcome" },
      h("h2", {}, "Run your first runbook"),
      h("p", {}, "You are Alice. Ask for a restart of the web service, then become Bob and approve it."),
      h("p", {}, h("code", {}, EXAMPLE)),
      h("button", { type: "button", class: "button primary", onclick: () => this.composer.fill(EXAMPLE) }, "Put it into the composer"),
      h("button", { type: "button", class: "button", onclick: () => store.go({ view: "stories" }) }, "Or watch a story"),
    );
  }

  #threadHead() {
    return h(
      "div",
      { class: "pane-head" },
      h("h2", { tabindex: "-1" }, "Thread"),
      h("button", { type: "button", class: "icon-button", "aria-label": "Close thread", onclick: () => this.#closeThread() }, "✕"),
    );
  }

  #closeThread() {
    const ts = store.place.thread;
    store.go({ thread: "" });
    const link = this.messages.list.querySelector(`[data-ts="${CSS.escape(ts)}"] .thread-link`);
    (link ?? this.messages.root).focus();
  }

  // Draw what follows from the records and the place.
  show() {
    const { actor, place } = store;
    if (!actor) {
      return;
    }
    const channel = this.#channel();
    const isHome = place.channel === HOME;
    this.unread.delete(channel?.id);
    this.root.dataset.pane = place.thread ? "thread" : place.channel ? "channel" : "side";
    this.#showSide(channel, isHome);
    this.#showChannel(channel, isHome);
    this.#showThread(channel);
    this.strip.show();
    this.modal.show();
  }

  // Keep unread marks and the newest notification, also while another view is open.
  note(changed) {
    const here = this.#channel()?.id;
    for (const key of changed) {
      const message = key.startsWith("message:") ? store.get(key) : null;
      if (message && message.channel !== here && message.user !== store.actor.id && !changed.has("*")) {
        this.unread.add(message.channel);
      }
      if (message && store.user(message.user)?.bot && this.#members(message.channel).includes(store.actor.id)) {
        this.latest = message.ts >= (this.latest?.ts ?? "") ? message : this.latest;
      }
    }
  }

  #members(channelId) {
    return store.get(`channel:${channelId}`)?.members ?? [];
  }

  #channel() {
    const { place, actor } = store;
    if (place.channel === DIRECT) {
      return store.all("channel:").map(([, each]) => each).find((each) => each.direct && each.members.includes(actor.id));
    }
    return store.get(`channel:${place.channel}`);
  }

  #showSide(here, isHome) {
    const mine = store.all("channel:").map(([, each]) => each).filter((each) => !each.direct && each.members.includes(store.actor.id));
    const signature = JSON.stringify([mine.map((each) => [each.id, each.archived, this.unread.has(each.id)]), here?.id, isHome, store.place.channel, store.actor.id, this.latest?.ts, this.latest?.text]);
    if (signature === this.sideSignature) {
      return;
    }
    this.sideSignature = signature;
    const focused = document.activeElement?.dataset?.key;
    const [shortcut] = (store.get("workspace")?.shortcuts ?? []).filter((each) => each.type === "global");
    this.side.replaceChildren(
      h("h2", {}, "Channels"),
      h("ul", {}, mine.map((each) => this.#entry(each.id, `# ${each.name}`, each.id === here?.id, each))),
      h("h2", {}, "Apps"),
      h("ul", {}, this.#entry(HOME, "⚙ Runbook Bot: Home", isHome), this.#entry(DIRECT, "⚙ Runbook Bot: Messages", store.place.channel === DIRECT)),
      h("h2", {}, "Shortcuts"),
      shortcut ? h("button", { type: "button", class: "button quiet", key: "shortcut", onclick: (event) => wait(event.currentTarget, () => act("shortcut", { actor: store.actor.name, callback_id: shortcut.callback_id })) }, `⚡ ${shortcut.name}`) : null,
      h("h2", {}, "Notification preview"),
      h("p", { class: "notification", tabindex: "0" }, this.latest ? oneLine(this.latest.text) : "The top-level text of the newest message appears here, as a phone shows it."),
    );
    [...this.side.querySelectorAll("[data-key]")].find((each) => each.dataset.key === focused)?.focus();
  }

  #entry(channel, label, current, { archived, shared, private: closed } = {}) {
    const marks = [closed ? "private" : "", archived ? "archived" : "", shared ? "shared" : ""].filter(Boolean).join(", ");
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: `entry${this.unread.has(channel) ? " unread" : ""}`, key: `to-${channel}`, "aria-current": current ? "page" : null, onclick: () => store.go({ channel, thread: "" }) },
        label,
        marks ? h("small", {}, marks) : null,
        this.unread.has(channel) ? h("span", { class: "unseen" }, "(unread)") : null,
      ),
    );
  }

  #showChannel(channel, isHome) {
    const direct = store.place.channel === DIRECT;
    const allowed = isHome || direct || channel?.members.includes(store.actor.id);
    const name = isHome ? "Runbook Bot" : direct || channel?.direct ? "Runbook Bot, messages" : `#${channel?.name ?? "?"}`;
    this.#showTitle(name, channel, isHome);
    this.home.root.hidden = !isHome;
    this.composer.root.hidden = isHome || !allowed;
    const items = isHome || !allowed ? [] : this.#inChannel(channel);
    this.messages.root.hidden = isHome || !items.length;
    this.empty.hidden = isHome || items.length > 0 || channel?.id !== "C0OPS" || !allowed;
    this.channel.classList.toggle("no-access", !allowed);
    const place = `${store.place.channel}/${store.actor.id}`;
    if (place !== this.shownPlace) {
      this.shownPlace = place;
      this.messages.clear();
      this.messages.show(items);
      this.messages.toEnd();
      if (isHome) {
        this.home.opened();
      }
    } else {
      this.messages.show(items);
    }
    if (isHome) {
      this.home.show();
    } else {
      this.composer.aim({ channel: channel?.id ?? "", thread: "", name, closed: channel?.archived ? "This channel is archived" : "" });
    }
  }

  #showTitle(name, channel, isHome) {
    const about = isHome ? "App Home" : channel && !channel.members.includes(store.actor.id)
      ? `${store.actor.real_name} is not in this channel`
      : channel ? `${channel.members.length} members${channel.shared ? ", shared with another company" : ""}` : "";
    const signature = `${name}/${about}`;
    if (signature !== this.titleSignature) {
      this.titleSignature = signature;
      this.title.replaceChildren(
        h("button", { type: "button", class: "icon-button back", "aria-label": "All channels", onclick: () => store.go({ channel: "", thread: "" }) }, "‹"),
        h("h2", { id: "channel-name" }, name),
        h("small", {}, about),
      );
    }
  }

  #inChannel(channel) {
    if (!channel) {
      return [];
    }
    const replies = new Map();
    const roots = [];
    for (const [, message] of store.all(`message:${channel.id}/`)) {
      const isReply = message.thread_ts && message.thread_ts !== message.ts;
      if (isReply) {
        const known = replies.get(message.thread_ts) ?? { count: 0, last: "" };
        replies.set(message.thread_ts, { count: known.count + 1, last: message.ts > known.last ? message.ts : known.last });
      }
      if (!isReply || message.broadcast) {
        roots.push(message);
      }
    }
    const items = [...roots, ...this.#whispers(channel, (message) => !message.thread_ts)];
    return items.sort(byTime).map((message) => ({ message, replies: replies.get(message.ts) }));
  }

  #whispers(channel, test) {
    return store.all(`whisper:${store.actor.id}/`).map(([, each]) => each).filter((each) => each.channel === channel.id && test(each));
  }

  #showThread(channel) {
    const root = store.place.thread;
    const visible = Boolean(root && channel?.members.includes(store.actor.id));
    this.thread.hidden = !visible;
    this.root.classList.toggle("with-thread", visible);
    if (!visible) {
      this.shownThread = "";
      return;
    }
    const all = store.all(`message:${channel.id}/`).map(([, each]) => each);
    const items = [...all.filter((each) => each.ts === root || each.thread_ts === root), ...this.#whispers(channel, (each) => each.thread_ts === root)];
    const place = `${root}/${store.actor.id}`;
    if (place !== this.shownThread) {
      this.replies.clear();
    }
    this.replies.show(items.sort(byTime).map((message) => ({ message })));
    if (place !== this.shownThread) {
      this.shownThread = place;
      this.replies.toEnd();
    }
    this.reply.aim({ channel: channel.id, thread: root, name: "the thread" });
  }
}

function byTime(one, other) {
  return one.ts < other.ts ? -1 : one.ts > other.ts ? 1 : 0;
}
