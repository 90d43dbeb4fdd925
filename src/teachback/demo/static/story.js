// The story page: shows what the server knows, and sends what the visitor does.

import { Answer } from "./answer.js";
import { approveLesson, ask, draftLesson, readState, readWidget, Refused, restart } from "./api.js";
import { make } from "./dom.js";
import { selectedIn } from "./passage.js";
import { showSteps } from "./steps.js";

/** @template {HTMLElement} T @param {string} id @returns {T} */
const byId = (id) => /** @type {T} */ (document.getElementById(id));

const messages = byId("messages");
const form = byId("ask-form");
const input = /** @type {HTMLTextAreaElement} */ (byId("ask"));
const problem = byId("problem");
const markHere = byId("mark-here");

/** @type {Map<string, Answer>} */
const answers = new Map();
/** @type {any[]} */
let reasons = [];
let busy = false;

/** Show what the server knows now; answers on the page stay, with whatever is typed below them. */
async function refresh() {
  const state = await readState();
  for (const message of state.messages) show(message);
  showSteps(state.steps);
}

/** Show a message once, however it came: as the reply or with a refresh. @param {any} message */
function show(message) {
  const shown = answers.get(message.id);
  if (shown) return shown.update(message);
  const answer = new Answer(message, reasons, refresh);
  answers.set(message.id, answer);
  messages.append(answer.element);
}

/** @param {string} query */
async function send(query) {
  if (busy || !query.trim()) return;
  busy = true;
  const waiting = make(
    "div",
    { class: "turn" },
    make("div", { class: "bubble question verbatim" }, query),
    make("div", { class: "bubble thinking", "aria-label": "The assistant is looking" }, make("i"), make("i"), make("i")),
  );
  messages.append(waiting);
  scrollDown();
  await attempt(async () => {
    const message = await ask(query);
    waiting.remove();
    show(message);
    input.value = "";
    fit();
    await refresh();
  });
  waiting.remove();
  scrollDown();
  busy = false;
}

/** @param {() => Promise<unknown>} act */
async function attempt(act) {
  problem.hidden = true;
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

function scrollDown() {
  const last = messages.lastElementChild;
  last?.scrollIntoView({ block: "nearest" });
  messages.scrollTop = messages.scrollHeight;
}

/** Let the field grow with what is typed, up to a few lines. */
function fit() {
  input.style.height = "auto";
  input.style.height = `${Math.min(input.scrollHeight + 2, 140)}px`;
}

/** Offer to mark what is selected in an answer, right below the selection. */
function offerMark() {
  const found = selectedAnswer();
  markHere.hidden = !found;
  if (!found) return;
  const box = getSelection()?.getRangeAt(0).getBoundingClientRect();
  if (!box) return;
  markHere.style.left = `${Math.max(8, Math.min(box.left, innerWidth - 130))}px`;
  markHere.style.top = `${Math.min(box.bottom + 6, innerHeight - 44)}px`;
}

function selectedAnswer() {
  for (const answer of answers.values()) {
    const place = selectedIn(answer.text);
    if (place) return { answer, place };
  }
  return null;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void send(input.value);
});
input.addEventListener("input", fit);
input.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  void send(input.value);
});
for (const button of document.querySelectorAll("[data-ask]")) {
  button.addEventListener("click", () => void send(/** @type {HTMLElement} */ (button).dataset.ask ?? ""));
}
for (const [id, act] of /** @type {const} */ ([["draft", draftLesson], ["approve", approveLesson]])) {
  byId(id).addEventListener("click", () =>
    attempt(async () => {
      await act();
      await refresh();
    }),
  );
}
byId("again").addEventListener("click", () => void send(byId("again").dataset.question ?? ""));
byId("restart").addEventListener("click", () =>
  attempt(async () => {
    await restart();
    location.reload();
  }),
);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void attempt(refresh); // back from the trail
});
document.addEventListener("selectionchange", offerMark);
document.addEventListener("scroll", offerMark, true);
markHere.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the selection
markHere.addEventListener("click", () => {
  const found = selectedAnswer();
  getSelection()?.removeAllRanges();
  found?.answer.mark(found.place);
});

void attempt(async () => {
  reasons = (await readWidget()).reasons;
  await refresh();
  scrollDown();
});
