// The keyboard map: `?` shows it, `g f` goes places, `j` and `k` walk through rows, `x` chooses one.

/** How long `g` waits for the second key. */
const CHORD_MS = 1_200;

/** @type {Record<string, string>} second key after `g` → path */
const PLACES = { o: "/overview", t: "/trends", f: "/feedback", s: "/sessions", l: "/lessons", p: "/prompts", k: "/settings/keys" };

/** @type {Record<string, () => void>} */
const KEYS = {
  "?": showHelp,
  "/": () => focusOn("[data-search]"),
  j: () => walk(1),
  k: () => walk(-1),
  x: chooseRow,
  t: () => focusOn("[data-tag]"),
  a: () => focusOn("[data-act]"),
  "[": () => follow("prev"),
  "]": () => follow("next"),
};

let chordUntil = 0;

/** Listen to keys that are not meant for a field. */
export function watchKeyboard() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const act = actionOf(event.key);
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.querySelector("[data-help]")?.addEventListener("click", showHelp);
}

/**
 * @param {string} key
 * @returns {(() => void) | undefined}
 */
function actionOf(key) {
  const place = Date.now() < chordUntil ? PLACES[key] : undefined;
  chordUntil = key === "g" ? Date.now() + CHORD_MS : 0;
  if (place) return () => location.assign(place);
  return KEYS[key];
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  return target.matches("input:not([type=radio], [type=checkbox]), select, textarea");
}

function showHelp() {
  const dialog = document.querySelector("dialog[data-keyboard-map]");
  if (dialog instanceof HTMLDialogElement && !dialog.open) dialog.showModal();
}

/** @param {string} selector */
function focusOn(selector) {
  const field = document.querySelector(selector);
  if (field instanceof HTMLElement) field.focus();
}

/** @param {1 | -1} step */
function walk(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  const here = rows.indexOf(/** @type {Element} */ (document.activeElement));
  const next = here < 0 ? (step > 0 ? 0 : rows.length - 1) : here + step;
  const row = rows[Math.max(0, Math.min(rows.length - 1, next))];
  if (!(row instanceof HTMLElement)) return;
  row.focus();
  row.scrollIntoView({ block: "nearest" });
}

function chooseRow() {
  const box = document.activeElement?.closest(".row")?.querySelector(".row-choose");
  if (box instanceof HTMLInputElement) box.click();
}

/** @param {string} rel */
function follow(rel) {
  const link = document.querySelector(`a[rel=${rel}]`);
  if (link instanceof HTMLAnchorElement) link.click();
}
