// What the visitor has said about an answer, in words, each with a way to take it back.

import { icon, make } from "./dom.js";

const ICONS = {
  reasons: "reasons",
  comment: "comment",
  correction: "correction",
  annotation: "annotation",
  implicit: "implicit",
};

/**
 * @param {any[]} given
 * @param {{label: string, title: string}[]} reasons
 * @param {(id: string) => unknown} takeBack
 */
export function summary(given, reasons, takeBack) {
  return given
    .filter((each) => each.kind in ICONS)
    .map((each) => {
      const kind = /** @type {keyof typeof ICONS} */ (each.kind);
      return make("li", { class: "given-one" }, icon(ICONS[kind]), make("span", { class: "verbatim" }, words(each, reasons)), ...undo(each, takeBack));
    });
}

/**
 * @param {any} each
 * @param {{label: string, title: string}[]} reasons
 */
function words(each, reasons) {
  const titles = new Map(reasons.map(({ label, title }) => [label, title]));
  if (each.kind === "reasons") return each.labels.map((/** @type {string} */ label) => titles.get(label) ?? label).join(" · ");
  if (each.kind === "comment") return each.comment;
  if (each.kind === "correction") return `Better: ${each.correction}`;
  if (each.kind === "implicit") return "You copied from this answer, which we noticed";
  const change = each.correction ? ` → “${each.correction}”` : "";
  return `“${each.selector.exact}”${change}${each.comment ? `: ${each.comment}` : ""}`;
}

/**
 * @param {any} each
 * @param {(id: string) => unknown} takeBack
 */
function undo(each, takeBack) {
  if (each.kind === "implicit") return [];
  const act = () => takeBack(each.id);
  return [make("button", { class: "undo", type: "button", onclick: act }, "Take back")];
}
