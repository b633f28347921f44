// Stories: what there is to watch, and the strip that tells the one being played while its thread is open beside it.

import { h } from "./dom.js";
import { store } from "./store.js";
import { act } from "./wire.js";

const PACES = [["0", "as fast as it goes"], ["1.5", "at reading speed"], ["4", "slowly"]];
const STATES = { running: "playing", passed: "went as told", failed: "went differently", stopped: "stopped" };
let dismissed = null;

export class Stories {
  constructor() {
    this.pace = h("select", { class: "field", id: "pace" }, PACES.map(([value, label]) => h("option", { value, selected: value === "1.5" }, label)));
    this.list = h("ul", { class: "cards" });
    this.notice = h("div", { role: "alert" });
    this.root = h(
      "div",
      { class: "panel" },
      h("h2", { tabindex: "-1" }, "Stories"),
      h("p", { class: "lead" }, "Whole scenes, played by the people of this workspace against the real bot. The same stories run in the tests. Start one and watch the thread; you may look at the machines and the inspector meanwhile. Each counts what its machines did before and after. What a story breaks is mended when it ends."),
      h("p", {}, h("label", { for: "pace" }, "Play "), this.pace),
      this.notice,
      this.list,
    );
  }

  show() {
    const telling = store.get("telling");
    const running = telling?.state === "running";
    const stories = store.all("story:").map(([, story]) => story);
    const signature = JSON.stringify([stories, running, telling?.name, telling?.state]);
    if (signature === this.signature) {
      return;
    }
    this.signature = signature;
    this.list.replaceChildren(...stories.map((story) => this.#card(story, telling, running)));
  }

  #card(story, telling, running) {
    return h(
      "li",
      { class: "card" },
      h("h3", {}, story.title),
      h("p", {}, h("strong", {}, "Watch: "), `${story.watch}.`),
      telling?.name === story.name ? h("p", { class: "when" }, `Last time: ${STATES[telling.state]}`) : null,
      h("button", { type: "button", class: "button primary", disabled: running, onclick: () => this.#start(story) }, "Play"),
    );
  }

  async #start(story) {
    dismissed = null;
    const { error } = await act("story", { name: story.name, pace: Number(this.pace.value) });
    this.notice.replaceChildren(error ? h("p", { class: "notice" }, error) : "");
    if (!error) {
      store.go({ view: "workspace", channel: "C0OPS", thread: "" });
    }
  }
}

// The story's words, above the conversation. It opens the story's thread as soon as there is one.
export class StoryStrip {
  constructor() {
    this.lines = h("ol", { class: "story-lines", "aria-live": "polite" });
    this.title = h("h2", {});
    this.watch = h("p", { class: "when" });
    this.button = h("button", { type: "button", class: "button", onclick: () => this.#end() }, "Stop");
    this.root = h("section", { class: "story", "aria-label": "Story", hidden: true }, h("div", { class: "story-head" }, h("div", {}, this.title, this.watch), this.button), this.lines);
  }

  show() {
    const telling = store.get("telling");
    this.root.hidden = !telling || dismissed === signature(telling);
    if (this.root.hidden) {
      return;
    }
    this.running = telling.state === "running";
    this.title.textContent = `${telling.title}: ${STATES[telling.state]}`;
    this.watch.textContent = `Watch: ${telling.watch}.`;
    this.button.textContent = this.running ? "Stop" : "Close";
    this.root.dataset.state = telling.state;
    if (this.lines.childElementCount > telling.lines.length) {
      this.lines.replaceChildren();
    }
    for (const line of telling.lines.slice(this.lines.childElementCount)) {
      this.lines.append(drawLine(line));
      this.lines.scrollTop = this.lines.scrollHeight;
    }
    this.#follow(telling);
  }

  #follow(telling) {
    const place = `${telling.channel}/${telling.thread}`;
    if (this.running && telling.thread && this.followed !== place) {
      this.followed = place;
      store.go({ view: "workspace", channel: telling.channel, thread: telling.thread });
    }
  }

  #end() {
    if (this.running) {
      act("story-stop", {});
    } else {
      dismissed = signature(store.get("telling"));
      store.touch();
    }
  }
}

function signature({ name, channel, thread, lines }) {
  return `${name}/${channel}/${thread}/${lines.length}`;
}

function drawLine({ kind, who, text, before, after, expected }) {
  if (kind === "effects") {
    const good = after - before === expected;
    return h("li", { class: `line-effects ${good ? "good" : "bad"}` }, h("strong", {}, `${good ? "✓" : "✗"} ${text}: `), `${before} before, ${after} after (${expected} more expected)`);
  }
  return h("li", { class: `line-${kind}` }, who ? h("strong", {}, kind === "whisper" ? `only ${who} sees: ` : `${who}: `) : null, text.trim());
}
