// The steps of the story: ticked by what the server knows of the visitor.

import { icon, make } from "./dom.js";

const WORDS = { done: "Done", next: "Now", open: "Then", later: "Comes later" };

const list = /** @type {HTMLElement} */ (document.querySelector("#steps"));
const news = /** @type {HTMLElement} */ (document.querySelector("#news"));

/**
 * Show the steps as they stand; says aloud what is newly done.
 * @param {{id: string, state: keyof typeof WORDS, ways?: any[], asked?: string[], href?: string,
 *   draft?: string, can_draft?: boolean, can_approve?: boolean, asked_to_draft?: boolean,
 *   ask?: string, before?: string, after?: string}[]} steps
 */
export function showSteps(steps) {
  for (const step of steps) {
    const item = /** @type {HTMLElement} */ (list.querySelector(`[data-step="${step.id}"]`));
    const before = item.dataset.state;
    item.dataset.state = step.state;
    if (step.state === "next") item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
    showBadge(item, step.state);
    if (step.ways) showWays(item, step.ways);
    if (step.asked) showAsked(item, step.asked);
    showLink(item, step.href);
    if (step.id === "approve") showLesson(item, step);
    if (step.id === "again") showChange(item, step);
    if (before && before !== "done" && step.state === "done") {
      news.textContent = `Step done: ${item.querySelector("h2")?.textContent}`;
    }
  }
}

/**
 * @param {HTMLElement} item
 * @param {keyof typeof WORDS} state
 */
function showBadge(item, state) {
  item.querySelector(".step-state")?.remove();
  const content = state === "done" ? [icon("check"), make("span", { class: "said" }, "Done")] : [WORDS[state]];
  item.append(make("span", { class: "step-state" }, ...content));
}

/**
 * @param {HTMLElement} item
 * @param {{title: string, done: boolean}[]} ways
 */
function showWays(item, ways) {
  const shown = ways.map(({ title, done }) =>
    make(
      "li",
      { class: done ? "way way-done" : "way" },
      ...(done ? [icon("check")] : []),
      title,
      ...(done ? [make("span", { class: "said" }, " (done)")] : []),
    ),
  );
  item.querySelector(".ways")?.replaceChildren(...shown);
}

/**
 * @param {HTMLElement} item
 * @param {string[]} asked
 */
function showAsked(item, asked) {
  const quotes = asked.map((text) => make("li", { class: "cut" }, `“${text}”`));
  item.querySelector(".others")?.replaceChildren(...quotes);
}

/**
 * @param {HTMLElement} item
 * @param {string} [href]
 */
function showLink(item, href) {
  const link = item.querySelector("a");
  if (!link) return;
  link.hidden = !href;
  if (href) link.setAttribute("href", href);
}

/**
 * The draft in the visitor's own words, and what can be done about it.
 * @param {HTMLElement} item
 * @param {{draft?: string, can_draft?: boolean, can_approve?: boolean, asked_to_draft?: boolean}} step
 */
function showLesson(item, step) {
  const draft = /** @type {HTMLElement} */ (item.querySelector(".draft"));
  draft.textContent = step.draft ?? "";
  draft.hidden = !step.draft;
  show(item, "#draft", Boolean(step.can_draft));
  show(item, "#approve", Boolean(step.draft && step.can_approve));
  show(item, ".hint", Boolean(step.asked_to_draft && !step.draft));
}

/**
 * The question to ask again, and both answers once it was.
 * @param {HTMLElement} item
 * @param {{ask?: string, before?: string, after?: string}} step
 */
function showChange(item, step) {
  const button = /** @type {HTMLElement} */ (item.querySelector("#again"));
  button.dataset.question = step.ask ?? "";
  button.hidden = !step.ask;
  const changed = step.before !== undefined && step.after !== undefined;
  show(item, ".change", changed);
  if (!changed) return;
  /** @type {HTMLElement} */ (item.querySelector(".before")).textContent = step.before ?? "";
  /** @type {HTMLElement} */ (item.querySelector(".after")).textContent = step.after ?? "";
}

/**
 * @param {HTMLElement} item
 * @param {string} selector
 * @param {boolean} shown
 */
function show(item, selector, shown) {
  /** @type {HTMLElement} */ (item.querySelector(selector)).hidden = !shown;
}
