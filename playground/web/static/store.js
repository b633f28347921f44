// What the server has told this tab, by key, and where the tab is looking. The server pushes whatever changes; after
// a lost connection it tells everything again, so a tab never has to ask what it missed.

const TOKEN = "playground-token";

class Store {
  constructor() {
    this.records = new Map();
    this.listeners = new Set();
    this.connected = false;
    this.place = read();
    this.token = token();
    this.changed = new Set();
    this.scheduled = false;
    addEventListener("hashchange", () => this.#moved());
  }

  get(key) {
    return this.records.get(key);
  }

  all(prefix) {
    const found = [];
    for (const [key, value] of this.records) {
      if (key.startsWith(prefix)) {
        found.push([key, value]);
      }
    }
    return found;
  }

  user(id) {
    return this.records.get(`user:${id}`);
  }

  get actor() {
    const named = this.place.actor || "alice";
    const people = this.all("user:").map(([, user]) => user);
    return people.find((user) => user.name === named) ?? people[0];
  }

  take({ reset, put, drop }) {
    if (reset) {
      this.records.clear();
      this.changed.add("*");
    }
    for (const key of drop) {
      this.records.delete(key);
      this.changed.add(key);
    }
    for (const [key, value] of Object.entries(put)) {
      this.records.set(key, value);
      this.changed.add(key);
    }
    this.#schedule();
  }

  // Tell the views at most once per frame. A hidden tab has no frames, so it is told by the next message loop.
  #schedule() {
    if (this.scheduled) {
      return;
    }
    this.scheduled = true;
    const tell = () => {
      this.scheduled = false;
      const changed = this.changed;
      this.changed = new Set();
      for (const listener of this.listeners) {
        listener(changed);
      }
    };
    if (document.hidden) {
      setTimeout(tell, 50);
    } else {
      requestAnimationFrame(tell);
    }
  }

  touch(what = "place") {
    this.changed.add(what);
    this.#schedule();
  }

  go(changes) {
    const wanted = { ...this.place, ...changes };
    const words = new URLSearchParams({ token: this.token });
    for (const [name, value] of Object.entries(wanted)) {
      words.set(name, value);
    }
    location.hash = words.toString();
  }

  #moved() {
    if (new URLSearchParams(location.hash.slice(1)).get("token")) {
      this.token = token();
      this.place = read();
      this.touch();
    }
  }
}

function read() {
  const words = new URLSearchParams(location.hash.slice(1));
  const place = { view: "workspace", channel: "C0OPS", thread: "", actor: "alice" };
  for (const name of Object.keys(place)) {
    place[name] = words.get(name) ?? place[name];
  }
  return place;
}

function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(TOKEN, given);
  }
  return given ?? sessionStorage.getItem(TOKEN) ?? "";
}

export const store = new Store();
