// <copy-text from="id"><button hidden>…</button></copy-text>: copies the text of the element `id`.

const SHOWN_MS = 1_600;

class CopyText extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("button");
    // Outside https and localhost browsers offer no clipboard: then there is no button either.
    if (!button || !navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", () => void this.#copy(button));
  }

  /** @param {HTMLButtonElement} button */
  async #copy(button) {
    const source = document.getElementById(this.getAttribute("from") ?? "");
    if (!source) return;
    await navigator.clipboard.writeText(source.textContent ?? "");
    const label = button.querySelector("[data-label]") ?? button;
    const before = label.textContent;
    label.textContent = "Copied";
    setTimeout(() => (label.textContent = before), SHOWN_MS);
  }
}

customElements.define("copy-text", CopyText);
