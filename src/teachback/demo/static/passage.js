// Highlights: from a selection to a place in the text, and from places back to marks.

import { make } from "./dom.js";

/** Code points kept on each side of a highlight, to find it again. */
const QUOTE_CONTEXT = 32;

/**
 * Describe a passage of an answer by quote and position, in Unicode code points.
 * @param {string} text
 * @param {number} start
 * @param {number} end
 */
export function selector(text, start, end) {
  const points = [...text];
  return {
    exact: points.slice(start, end).join(""),
    prefix: points.slice(Math.max(0, start - QUOTE_CONTEXT), start).join(""),
    suffix: points.slice(end, end + QUOTE_CONTEXT).join(""),
    start,
    end,
    part: "output",
  };
}

/**
 * Return where the selection stands in an answer; null when it is elsewhere or empty.
 * @param {Element} answer
 */
export function selectedIn(answer) {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || !selection.rangeCount) return null;
  const range = selection.getRangeAt(0);
  if (!answer.contains(range.commonAncestorContainer)) return null;
  const start = lengthBefore(answer, range.startContainer, range.startOffset);
  const end = lengthBefore(answer, range.endContainer, range.endOffset);
  return end > start ? { start, end } : null;
}

/**
 * Cut a text into sentences, for those who choose a passage by keyboard.
 * @param {string} text
 */
export function sentences(text) {
  const found = [];
  let at = 0;
  for (const [part] of text.matchAll(/[^.!?\n]+(?:[.!?](?!\s|$)[^.!?\n]*)*[.!?]?|\s/g)) {
    const start = at + [...part].length - [...part.trimStart()].length;
    at += [...part].length;
    if (part.trim().length > 2) found.push({ start, end: start + [...part.trim()].length });
  }
  return found;
}

/**
 * Show an answer with its highlights, corrections drawn as tracked changes.
 * @param {Element} answer
 * @param {string} text
 * @param {any[]} annotations
 */
export function drawMarks(answer, text, annotations) {
  const points = [...text];
  const marks = annotations
    .filter((each) => each.selector?.part === "output")
    .sort((one, other) => one.selector.start - other.selector.start);
  const parts = [];
  let at = 0;
  for (const { selector: place, correction, comment } of marks) {
    if (place.start < at) continue; // overlaps the one before
    parts.push(points.slice(at, place.start).join(""));
    const exact = points.slice(place.start, place.end).join("");
    if (correction) parts.push(make("del", {}, exact), make("ins", {}, correction));
    else parts.push(make("mark", { title: comment ?? "" }, exact));
    at = place.end;
  }
  answer.replaceChildren(...parts, points.slice(at).join(""));
}

/**
 * Count the answer's code points before a place; what a correction inserted is not of the answer.
 * @param {Element} answer
 * @param {Node} node
 * @param {number} offset
 */
function lengthBefore(answer, node, offset) {
  const range = document.createRange();
  range.setStart(answer, 0);
  range.setEnd(node, offset);
  const before = range.cloneContents();
  for (const inserted of before.querySelectorAll("ins")) inserted.remove();
  return [...(before.textContent ?? "")].length;
}
