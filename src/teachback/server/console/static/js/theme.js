// Switches between light, dark and the system's theme without loading the page again.

/** Make the theme buttons act at once; the form they belong to works without this. */
export function watchTheme() {
  for (const form of document.querySelectorAll("form[data-theme-form]")) {
    form.addEventListener("submit", (event) => {
      const submit = /** @type {SubmitEvent} */ (event);
      const button = /** @type {HTMLButtonElement | null} */ (submit.submitter);
      if (!button) return;
      event.preventDefault();
      show(button.value);
      void fetch(/** @type {HTMLFormElement} */ (form).action, {
        method: "POST",
        body: new URLSearchParams({ theme: button.value }),
        redirect: "manual",
      });
    });
  }
}

/** @param {string} theme light, dark or system */
function show(theme) {
  document.documentElement.dataset.theme = theme;
  for (const button of document.querySelectorAll("form[data-theme-form] button")) {
    const { value } = /** @type {HTMLButtonElement} */ (button);
    button.setAttribute("aria-pressed", String(value === theme));
  }
}
