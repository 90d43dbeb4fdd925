// Lights up a note with the text it is about, whichever of the two is pointed at or focused.

/** Connect every element that names notes in `data-notes`. */
export function watchNotes() {
  const all = [...document.querySelectorAll("[data-notes]")];
  /** @param {Event} event */
  const light = (event) => {
    const target = event.target instanceof Element ? event.target.closest("[data-notes]") : null;
    const numbers = notesOf(target);
    for (const element of all) {
      const lit = notesOf(element).some((number) => numbers.includes(number));
      element.classList.toggle("lit", lit);
    }
  };
  if (all.length === 0) return;
  document.addEventListener("pointerover", light);
  document.addEventListener("focusin", light);
}

/** @param {Element | null} element */
function notesOf(element) {
  return element?.getAttribute("data-notes")?.split(" ") ?? [];
}
