// The steps of the story: ticked by what the server knows of the visitor.

import { icon, make } from "./dom.js";

const WORDS = { done: "Done", next: "Now", open: "Then", later: "Comes later" };

const list = /** @type {HTMLElement} */ (document.querySelector("#steps"));
const news = /** @type {HTMLElement} */ (document.querySelector("#news"));

/**
 * Show the steps as they stand; says aloud what is newly done.
 * @param {{id: string, state: keyof typeof WORDS, ways?: any[], asked?: string[], href?: string}[]} steps
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
