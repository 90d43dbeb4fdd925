// <relative-time><time datetime="…">3 min ago</time></relative-time>: keeps the words true while
// the page is open, and says the exact time in the reader's own zone on hover.

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;
/** From here on a date says more than "31 d ago". */
const OLDEST_RELATIVE = 30 * DAY;
const REFRESH_MS = 30_000;

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/**
 * @param {number} seconds since then
 * @returns {string | null} null when the date that the server wrote says more
 */
function inWords(seconds) {
  if (seconds < -MINUTE || seconds >= OLDEST_RELATIVE) return null;
  if (seconds < MINUTE) return "just now";
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ago`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`;
  return `${Math.floor(seconds / DAY)} d ago`;
}

class RelativeTime extends HTMLElement {
  /** @type {number | undefined} */
  #timer;

  connectedCallback() {
    this.#write();
    this.#timer = setInterval(() => this.#write(), REFRESH_MS);
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
  }

  #write() {
    const time = this.querySelector("time");
    if (!time) return;
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) return;
    time.title = exact.format(at);
    const words = inWords((Date.now() - at.getTime()) / 1_000);
    if (words && time.textContent !== words) time.textContent = words;
  }
}

customElements.define("relative-time", RelativeTime);
