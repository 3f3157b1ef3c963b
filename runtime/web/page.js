// The page: turns of a dialogue, the composer, the panel, the token, light and dark.

const at = (id) => document.getElementById(id);
const [log, turns, prompt, send, stop, note, panel] = ["log", "turns", "prompt", "send", "stop", "note", "panel"].map(at);
const dialogueKey = `inferform.dialogue.${facts.service}`;

let history = []; // [question, answer] pairs, as the service returns them
let running = null; // the AbortController of the answer that is being written

// Token -----------------------------------------------------------------------------------------------------------------

function askToken(problem = "") {
  const dialog = at("ask-token");
  at("token-error").hidden = !problem;
  at("token-error").textContent = problem;
  at("token").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  at("token").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "use" ? at("token").value.trim() : "";
      at("token").value = "";
      if (given) token.set(given);
      resolve(Boolean(given));
    }, { once: true });
  });
}

/** Run `work`; when the service wants a token, ask for one and run it again. */
async function withToken(work) {
  for (let again = false; ; again = true) {
    try {
      return await work();
    } catch (problem) {
      if (problem.status !== 401) throw problem;
      const had = token.get();
      token.forget();
      if (!(await askToken(had || again ? "The service does not accept this token." : "")))
        throw new Refused(401, "The service needs its token.");
    }
  }
}

// Turns -----------------------------------------------------------------------------------------------------------------

async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Not a secure context (plain http on another machine): the old way still works.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    button.textContent = document.execCommand("copy") ? "Copied" : "Not copied";
    area.remove();
  }
  setTimeout(() => (button.textContent = label), 1500);
}

function tool(label, action) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", () => action(button));
  return button;
}

class Turn {
  constructor(question) {
    this.question = question;
    this.answer = "";
    this.user = this.#item("user");
    this.user.text.textContent = question;
    this.user.tools.append(tool("Copy", (button) => copy(question, button)));
    this.assistant = this.#item("assistant");
    at("empty").hidden = true;
  }

  #item(kind) {
    const node = document.createElement("li");
    node.className = kind;
    const text = document.createElement("div");
    text.className = "text";
    const tools = document.createElement("div");
    tools.className = "tools";
    node.append(text, tools);
    turns.append(node);
    return { node, text, tools };
  }

  busy(value) {
    this.assistant.node.classList.toggle("busy", value);
    this.assistant.node.setAttribute("aria-busy", value);
  }

  /** Draw at most once a frame, however fast records arrive. */
  show(answer) {
    this.answer = answer;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#draw();
    });
  }

  #draw() {
    const follow = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    renderMarkdown(this.answer, this.assistant.text, copy);
    if (follow) log.scrollTop = log.scrollHeight;
  }

  finish(remark = "", { failed = false, sources = [] } = {}) {
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = null;
    this.busy(false);
    this.#draw();
    if (sources.length) this.assistant.text.after(sourceList(sources));
    const text = document.createElement("span");
    text.textContent = remark;
    if (failed) {
      text.className = "error";
      text.setAttribute("role", "alert");
    }
    const tools = this.answer ? [tool("Copy", (button) => copy(this.answer, button))] : [];
    if (failed) tools.push(tool("Try again", () => retry(this)));
    this.assistant.tools.replaceChildren(...tools, text);
  }

  remove() {
    this.user.node.remove();
    this.assistant.node.remove();
  }
}

function sourceList(sources) {
  const details = document.createElement("details");
  details.className = "sources";
  const summary = document.createElement("summary");
  summary.textContent = `${sources.length} ${sources.length === 1 ? "passage" : "passages"} from the knowledge base`;
  details.append(summary);
  for (const { document: name, passage, score } of sources) {
    const title = document.createElement("strong");
    title.textContent = name;
    const quote = document.createElement("blockquote");
    quote.textContent = passage;
    details.append(title, ` (${score.toFixed(2)})`, quote);
  }
  return details;
}

// Dialogue --------------------------------------------------------------------------------------------------------------

function busy(value) {
  send.hidden = value;
  stop.hidden = !value;
  at("new").disabled = value;
}

async function answer(question) {
  const turn = new Turn(question);
  turn.busy(true);
  log.scrollTop = log.scrollHeight;
  running = new AbortController();
  busy(true);
  note.textContent = "";
  const began = performance.now();
  try {
    const request = { ...settings(), prompt: question, history };
    const signal = running.signal;
    const reply = await withToken(() => ask(request, (text) => turn.show(text), signal));
    turn.answer = reply.history.at(-1)?.[1] ?? reply.response;
    remember(question, turn.answer);
    const seconds = (performance.now() - began) / 1000;
    const tokens = reply.usage?.completion_tokens;
    turn.finish(tokens ? `${tokens} tokens in ${seconds.toFixed(1)} s` : "", { sources: reply.sources ?? [] });
  } catch (problem) {
    if (problem.name === "AbortError") {
      if (turn.answer) remember(question, turn.answer);
      turn.finish("Stopped");
    } else turn.finish(problem instanceof Refused ? problem.message : "The service cannot be reached.", { failed: true });
  } finally {
    running = null;
    busy(false);
    prompt.focus();
  }
}

function remember(question, text) {
  history.push([question, text]);
  sessionStorage.setItem(dialogueKey, JSON.stringify(history));
}

function retry(turn) {
  if (running) return;
  turn.remove();
  answer(turn.question);
}

function newChat() {
  if (running) return;
  history = [];
  sessionStorage.removeItem(dialogueKey);
  turns.replaceChildren();
  at("empty").hidden = false;
  note.textContent = "";
  prompt.focus();
}

function submit() {
  const question = prompt.value.trim();
  if (!question || running) return;
  if (!form.checkValidity()) {
    openPanel("settings");
    form.reportValidity();
    return;
  }
  prompt.value = "";
  grow();
  answer(question);
}

function grow() {
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
}

// Panel -----------------------------------------------------------------------------------------------------------------

const tabs = facts.knowledge === "true" ? ["settings", "knowledge"] : ["settings"];

function openPanel(tab) {
  panel.hidden = false;
  at("open-panel").setAttribute("aria-expanded", "true");
  for (const name of tabs) {
    const chosen = name === tab;
    at(name).hidden = !chosen;
    at(`tab-${name}`).setAttribute("aria-selected", chosen);
    at(`tab-${name}`).tabIndex = chosen ? 0 : -1;
  }
  if (tab === "knowledge") showKnowledge();
}

function closePanel() {
  panel.hidden = true;
  at("open-panel").setAttribute("aria-expanded", "false");
  at("open-panel").focus();
}

// Wiring ----------------------------------------------------------------------------------------------------------------

function theme(name) {
  document.documentElement.dataset.theme = name;
}

at("service").textContent = facts.service;
at("empty-name").textContent = facts.service;
at("model").textContent = facts.model;
at("extension").hidden = facts.method === "standard";
at("drop").hidden = facts.uploads !== "true";
at("tab-knowledge").hidden = facts.knowledge !== "true";
form.elements.langchain.closest("label").hidden = facts.knowledge !== "true";
theme(localStorage.getItem("inferform.theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));

at("theme").addEventListener("click", () => {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  theme(next);
  localStorage.setItem("inferform.theme", next);
});
at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
prompt.addEventListener("input", grow);
prompt.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
stop.addEventListener("click", () => running?.abort());
at("new").addEventListener("click", newChat);
at("open-panel").addEventListener("click", () => (panel.hidden ? openPanel("settings") : closePanel()));
at("close-panel").addEventListener("click", closePanel);
at("no-token").addEventListener("click", () => at("ask-token").close());
at("forget").addEventListener("click", () => {
  token.forget();
  note.textContent = "The token is forgotten.";
});
for (const name of tabs) {
  at(`tab-${name}`).addEventListener("click", () => openPanel(name));
  at(`tab-${name}`).addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const next = tabs[(tabs.indexOf(name) + 1) % tabs.length];
    openPanel(next);
    at(`tab-${next}`).focus();
  });
}
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !at("ask-token").open) {
    if (running) running.abort();
    else if (!panel.hidden) closePanel();
  }
  if (event.key.toLowerCase() === "o" && event.ctrlKey && event.shiftKey) {
    event.preventDefault();
    newChat();
  }
});

for (const [question, text] of JSON.parse(sessionStorage.getItem(dialogueKey) ?? "[]")) {
  const turn = new Turn(question);
  turn.answer = text;
  turn.finish();
  history.push([question, text]);
}
log.scrollTop = log.scrollHeight;
if (matchMedia("(min-width: 75rem)").matches) openPanel("settings");
prompt.focus();
