// Calls to the service behind this page: its root speaks ChatLLM, a stream of JSON records that each end with a NUL.

const base = location.pathname.replace(/\/+$/, "");
const facts = document.documentElement.dataset;
const tokenKey = `inferform.token.${facts.service}`;

/** What the server refused, with its status. */
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const token = {
  // For this tab's session only; never in a URL, never in a cookie.
  get: () => sessionStorage.getItem(tokenKey) ?? "",
  set: (value) => sessionStorage.setItem(tokenKey, value),
  forget: () => sessionStorage.removeItem(tokenKey),
};

async function refusal(response) {
  const text = await response.text();
  let message = text;
  try {
    const data = JSON.parse(text);
    message = data.message ?? data.detail ?? text;
  } catch {
    // Not JSON: the text itself says it.
  }
  if (response.status === 503) message = "The service has no ready replica; try again in a moment.";
  return new Refused(response.status, message || `The service answered ${response.status}.`);
}

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (token.get()) headers.Authorization = token.get();
  const response = await fetch(base + path || "/", { ...options, headers, credentials: "omit", cache: "no-store" });
  if (!response.ok) throw await refusal(response);
  return response;
}

/**
 * Ask for an answer. `onText(text)` gets the whole text so far, whatever the service's stream mode is.
 * Returns the last record: response, history, usage, sources. `signal` stops the generation on the server, too.
 */
async function ask(request, onText, signal) {
  const body = JSON.stringify(request);
  const response = await call("", { method: "POST", body, signal, headers: { "Content-Type": "application/json" } });
  if (!request.use_stream_chat) {
    const reply = await response.json();
    onText(reply.response);
    return reply;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  let last = null;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pending += value;
    const end = pending.lastIndexOf("\0");
    if (end < 0) continue;
    // Records are cumulative in `history`: only the newest whole one matters.
    last = JSON.parse(pending.slice(pending.lastIndexOf("\0", end - 1) + 1, end));
    pending = pending.slice(end + 1);
    onText(last.history.at(-1)?.[1] ?? last.response);
  }
  if (!last || (last.history.length && !last.usage)) throw new Refused(500, "The answer broke off.");
  return last;
}
