// <time-chart>: says what a chart shows where it is pointed at, or where the arrow keys lead.
// Without this file browsers show the same words as the titles that the server wrote.

class TimeChart extends HTMLElement {
  /** @type {{middle: string, lines: string[]}[]} */
  #steps = [];
  #at = -1;
  #tip = document.createElement("div");

  connectedCallback() {
    const hits = [...this.querySelectorAll(".hit")];
    if (hits.length === 0) return;
    this.#steps = hits.map((hit) => ({
      middle: hit.getAttribute("data-middle") ?? "0",
      lines: (hit.querySelector("title")?.textContent ?? "").split("\n"),
    }));
    hits.forEach((hit, index) => {
      hit.querySelector("title")?.remove();
      hit.addEventListener("pointerenter", () => this.#show(index));
    });
    this.#tip.className = "chart-tip";
    this.#tip.hidden = true;
    this.#tip.setAttribute("role", "status");
    this.append(this.#tip);
    this.tabIndex = 0;
    this.addEventListener("pointerleave", () => this.#hide());
    this.addEventListener("blur", () => this.#hide());
    this.addEventListener("keydown", (event) => this.#press(event));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const last = this.#steps.length - 1;
    const from = this.#at < 0 ? last + 1 : this.#at;
    /** @type {Record<string, number>} */
    const wanted = { ArrowLeft: from - 1, ArrowRight: this.#at + 1, Home: 0, End: last };
    if (event.key === "Escape") this.#hide();
    if (!(event.key in wanted) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#show(Math.max(0, Math.min(last, wanted[event.key])));
  }

  /** @param {number} index */
  #show(index) {
    const { middle, lines } = this.#steps[index];
    this.#at = index;
    const [title, ...rest] = lines;
    const bold = document.createElement("b");
    bold.textContent = title;
    this.#tip.replaceChildren(bold, ...rest.map(paragraph));
    this.#tip.hidden = false;
    this.#place(Number.parseFloat(middle) / 100);
    const guide = this.querySelector(".guide");
    guide?.setAttribute("x1", middle);
    guide?.setAttribute("x2", middle);
    guide?.classList.add("shown");
  }

  /** @param {number} share of the plot's width */
  #place(share) {
    const plot = /** @type {Element} */ (this.querySelector(".chart-plot"));
    const box = plot.getBoundingClientRect();
    const left = box.left - this.getBoundingClientRect().left + share * box.width;
    // Beside what is pointed at, on the side that has room.
    const after = share < 0.5;
    const width = this.#tip.offsetWidth;
    const wanted = after ? left + 12 : left - 12 - width;
    this.#tip.style.left = `${Math.max(0, Math.min(wanted, this.offsetWidth - width))}px`;
  }

  #hide() {
    this.#at = -1;
    this.#tip.hidden = true;
    this.querySelector(".guide")?.classList.remove("shown");
  }
}

/** @param {string} text */
function paragraph(text) {
  const line = document.createElement("p");
  line.textContent = text;
  return line;
}

customElements.define("time-chart", TimeChart);
