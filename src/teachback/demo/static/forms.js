// The two forms below an answer: say more about all of it, or mark a passage.

import { make } from "./dom.js";
import { selector, sentences } from "./passage.js";

/**
 * Ask for reasons, words and a better answer.
 * @param {any} message
 * @param {{label: string, title: string, polarity: string}[]} reasons
 * @param {(judgements: Record<string, unknown>[]) => unknown} send
 */
export function moreForm(message, reasons, send) {
  const liked = message.feedback.some((/** @type {any} */ each) => each.kind === "rating" && each.score === 1);
  const fitting = reasons.filter((each) => (each.polarity === "positive") === liked);
  const chips = fitting.map(({ label, title }) =>
    make("label", { class: "chip" }, make("input", { type: "checkbox", name: "reason", value: label }), title),
  );
  const form = make(
    "form",
    { class: "form", "aria-label": "Say more" },
    make("fieldset", {}, make("legend", { class: "field-label" }, liked ? "What was good?" : "What was wrong?"), make("div", { class: "chips" }, ...chips)),
    field("In your own words", "comment", 2),
    field("What should it have said?", "correction", 2),
    buttons("Send"),
  );
  return submitting(form, (values) => {
    const labels = values.getAll("reason");
    const comment = text(values, "comment");
    const correction = text(values, "correction");
    const judgements = [
      ...(labels.length ? [{ kind: "reasons", labels }] : []),
      ...(comment ? [{ kind: "comment", comment }] : []),
      ...(correction ? [{ kind: "correction", correction }] : []),
    ];
    if (judgements.length) send(judgements);
  });
}

/**
 * Ask what is to be said about a passage: the selected one, or a sentence chosen from the answer.
 * @param {string} output
 * @param {{start: number, end: number} | undefined} place
 * @param {(judgement: Record<string, unknown>) => unknown} send
 */
export function markForm(output, place, send) {
  const choices = place ? [place] : sentences(output);
  const form = make(
    "form",
    { class: "form", "aria-label": "Mark a passage" },
    place ? quote(output, place) : choice(output, choices),
    field("What should it say instead?", "correction", 1),
    field("Your remark", "comment", 1),
    buttons("Mark"),
  );
  return submitting(form, (values) => {
    const { start, end } = choices[Number(values.get("place") ?? 0)];
    const comment = text(values, "comment");
    const correction = text(values, "correction");
    send({
      kind: "annotation",
      identifier: `${start}-${end}`,
      selector: selector(output, start, end),
      ...(comment ? { comment } : {}),
      ...(correction ? { correction } : {}),
    });
  });
}

/**
 * @param {HTMLElement} form
 * @param {(values: FormData) => void} act
 */
function submitting(form, act) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(new FormData(/** @type {HTMLFormElement} */ (form)));
  });
  return form;
}

/**
 * @param {string} label
 * @param {string} name
 * @param {number} rows
 */
function field(label, name, rows) {
  return make("label", { class: "field" }, make("span", { class: "field-label" }, label), make("textarea", { class: "input", name, rows: String(rows) }));
}

/** @param {string} action */
function buttons(action) {
  return make(
    "div",
    { class: "form-foot" },
    make("button", { class: "button button-quiet", type: "reset" }, "Cancel"),
    make("button", { class: "button button-primary", type: "submit" }, action),
  );
}

/**
 * @param {string} output
 * @param {{start: number, end: number}} place
 */
function quote(output, { start, end }) {
  return make("blockquote", { class: "quote verbatim" }, [...output].slice(start, end).join(""));
}

/**
 * @param {string} output
 * @param {{start: number, end: number}[]} choices
 */
function choice(output, choices) {
  const points = [...output];
  const options = choices.map(({ start, end }, place) => make("option", { value: String(place) }, points.slice(start, end).join("")));
  return make(
    "label",
    { class: "field" },
    make("span", { class: "field-label" }, "Which passage?"),
    make("select", { class: "input", name: "place" }, ...options),
    make("span", { class: "field-hint" }, "Or select a few words in the answer itself."),
  );
}

/**
 * @param {FormData} values
 * @param {string} name
 */
function text(values, name) {
  return String(values.get(name) ?? "").trim();
}
