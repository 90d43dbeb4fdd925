// Filters apply as soon as they are chosen, and leave no empty names in the address.

/** Watch forms that are marked with `data-filter-form`. */
export function watchForms() {
  for (const form of document.querySelectorAll("form[data-filter-form]")) {
    const filters = /** @type {HTMLFormElement} */ (form);
    filters.addEventListener("submit", () => leaveOutEmpty(filters));
    filters.addEventListener("change", (event) => {
      if (event.target instanceof HTMLInputElement && event.target.type === "text") return;
      filters.requestSubmit();
    });
  }
}

/** @param {HTMLFormElement} form */
function leaveOutEmpty(form) {
  for (const field of form.elements) {
    if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) {
      field.disabled = field.value === "";
    }
  }
  // Going back must find the fields usable.
  addEventListener("pageshow", () => {
    for (const field of form.elements) if ("disabled" in field) field.disabled = false;
  });
}
