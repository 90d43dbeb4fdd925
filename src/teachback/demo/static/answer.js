// One turn of the conversation, with everything the visitor can say about the answer.

import { give, Refused, withdraw } from "./api.js";
import { icon, make } from "./dom.js";
import { markForm, moreForm } from "./forms.js";
import { drawMarks } from "./passage.js";
import { summary } from "./summary.js";

/** A question and its answer on the page. */
export class Answer {
  /** @type {any} */ #message;
  /** @type {() => Promise<void>} */ #refresh;
  /** @type {any[]} */ #reasons;
  /** What the text shows now. */ #drawn = "";
  #text = make("div", { class: "bubble answer-text verbatim" });
  #up = this.#tool("thumb-up", "Good answer", () => this.#rate(1));
  #down = this.#tool("thumb-down", "Bad answer", () => this.#rate(0));
  #panel = make("div", { class: "panel" });
  #given = make("ul", { class: "given", "aria-label": "Your feedback" });
  #status = make("p", { class: "answer-status", role: "status" });

  /**
   * @param {any} message
   * @param {any[]} reasons what can be ticked
   * @param {() => Promise<void>} refresh called after feedback was stored
   */
  constructor(message, reasons, refresh) {
    this.#message = message;
    this.#reasons = reasons;
    this.#refresh = refresh;
    this.element = make("div", { class: "turn", "data-trace": message.id }, ...this.#parts());
    this.#text.addEventListener("copy", () => this.#copied(getSelection()?.toString() ?? ""));
    this.update(message);
  }

  /** Show the feedback there is now. @param {any} message */
  update(message) {
    this.#message = message;
    const given = message.feedback;
    const thumb = given.find((/** @type {any} */ each) => each.kind === "rating");
    this.#up.setAttribute("aria-pressed", String(thumb?.score === 1));
    this.#down.setAttribute("aria-pressed", String(thumb?.score === 0));
    this.#draw(given.filter((/** @type {any} */ each) => each.kind === "annotation"));
    this.#given.replaceChildren(...summary(given, this.#reasons, (id) => this.#takeBack(id)));
  }

  /** Draw the answer anew only when its marks changed: what the visitor has selected stays. @param {any[]} annotations */
  #draw(annotations) {
    const drawn = JSON.stringify([this.#message.output, annotations]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    drawMarks(this.#text, this.#message.output, annotations);
  }

  /** Open the form for marking a passage. @param {{start: number, end: number}} [place] */
  mark(place) {
    this.#open(markForm(this.#message.output, place, (judgement) => this.#send([judgement])));
  }

  /** The answer's text on the page. */
  get text() {
    return this.#text;
  }

  #parts() {
    const { query, know } = this.#message;
    const tools = [
      this.#up,
      this.#down,
      make("span", { class: "tools-line" }),
      this.#tool("comment", "Say more", () => this.#more(), true),
      this.#tool("annotation", "Mark", () => this.mark(), true),
      this.#tool("copy", "Copy answer", () => this.#copy()),
    ];
    return [
      make("div", { class: "bubble question verbatim" }, make("span", { class: "said" }, "You asked: "), query),
      this.#text,
      make("div", { class: "tools", role: "group", "aria-label": "Feedback on this answer" }, ...tools),
      ...(know ? [make("p", { class: "know" }, make("strong", {}, "What you know: "), know)] : []),
      this.#panel,
      this.#given,
      this.#status,
    ];
  }

  /**
   * @param {string} name
   * @param {string} title
   * @param {() => unknown} act
   * @param {boolean} [titled] whether the title is written out
   */
  #tool(name, title, act, titled = false) {
    const label = titled ? make("span", {}, title) : make("span", { class: "said" }, title);
    return make("button", { class: "tool", type: "button", title, onclick: act }, icon(name), label);
  }

  /** @param {number} score */
  async #rate(score) {
    const pressed = (score ? this.#up : this.#down).getAttribute("aria-pressed") === "true";
    const thumb = this.#message.feedback.find((/** @type {any} */ each) => each.kind === "rating");
    if (pressed && thumb) return this.#takeBack(thumb.id);
    await this.#send([{ kind: "rating", score, scale: "thumbs" }], { keepOpen: true });
    if (!score) this.#more();
  }

  #more() {
    const form = moreForm(this.#message, this.#reasons, (judgements) => this.#send(judgements));
    this.#open(form);
  }

  async #copy() {
    await navigator.clipboard?.writeText(this.#message.output).catch(() => {});
    await this.#copied(this.#message.output);
  }

  /** @param {string} copied */
  async #copied(copied) {
    const share = Math.min(1, copied.length / this.#message.output.length);
    await this.#send([{ kind: "implicit", name: "copy", score: share }], { keepOpen: true, quiet: true });
  }

  /** @param {string} id */
  #takeBack(id) {
    return this.#doing(() => withdraw(this.#message, id), "Taken back.");
  }

  /**
   * @param {Record<string, unknown>[]} judgements
   * @param {{keepOpen?: boolean, quiet?: boolean}} [how]
   */
  #send(judgements, { keepOpen = false, quiet = false } = {}) {
    const send = async () => {
      await give(this.#message, judgements);
      if (!keepOpen) this.#close();
    };
    return this.#doing(send, quiet ? "" : "Thank you, that is kept.");
  }

  /**
   * @param {() => Promise<unknown>} act
   * @param {string} done
   */
  async #doing(act, done) {
    try {
      await act();
      this.#status.classList.remove("negative");
      this.#status.textContent = done;
      await this.#refresh();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#status.classList.add("negative");
      this.#status.textContent = error.message;
    }
  }

  /** @param {HTMLElement} form */
  #open(form) {
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#close();
    });
    form.addEventListener("reset", () => this.#close());
    this.#panel.replaceChildren(form);
    const first = /** @type {HTMLElement} */ (form.querySelector("input, textarea, select"));
    first.focus({ preventScroll: true });
    form.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  #close() {
    this.#panel.replaceChildren();
    this.#down.focus({ preventScroll: true });
  }
}
