// Talking to the playground's server: acts are posted as JSON, changes come in one stream that is opened again
// whenever it ends. The token travels in a header, never in an address or a cookie.

import { store } from "./store.js";

const HEADER = "X-Playground-Token";
const AGAIN_MS = 700;

export async function ask(path) {
  const answer = await fetch(`page/${path}`, { headers: { [HEADER]: store.token }, cache: "no-store" });
  const body = await answer.json();
  if (!answer.ok) {
    throw new Error(body.error);
  }
  return body;
}

// Do something; the answer always has `error`, empty when it went well.
export async function act(name, body) {
  try {
    const answer = await fetch(`page/act/${name}`, {
      method: "POST",
      headers: { [HEADER]: store.token, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    return { error: "", ...(await answer.json()) };
  } catch {
    return { error: "The playground does not answer. Was it stopped?" };
  }
}

export async function listen(onRefused) {
  for (;;) {
    try {
      const answer = await fetch("page/live", { headers: { [HEADER]: store.token }, cache: "no-store" });
      if (answer.status === 403) {
        onRefused((await answer.json()).error);
        return;
      }
      if (answer.ok) {
        await read(answer.body.getReader());
      }
    } catch {
      // the connection broke or the server is gone: it is opened again below
    }
    connected(false);
    await new Promise((resume) => setTimeout(resume, AGAIN_MS));
  }
}

async function read(reader) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) {
      return;
    }
    rest += decoder.decode(value, { stream: true });
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (part.startsWith("data: ")) {
        store.take(JSON.parse(part.slice(6)));
        connected(true);
      }
    }
  }
}

function connected(now) {
  if (store.connected !== now) {
    store.connected = now;
    store.touch("connection");
  }
}
