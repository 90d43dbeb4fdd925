// Speaking to the demo for the chat, and to Teachback's public API for feedback.

const { root, key } = document.body.dataset;

/** The server refused, or did not answer; the message is for people. */
export class Refused extends Error {}

/** @returns {Promise<any>} the conversation and the steps, as the server knows them */
export const readState = () => call(`${root}/state`);

/** @param {string} query */
export const ask = (query) => call(`${root}/chat`, { query });

/** Draft a lesson from what was said; then let it into the assistant's answers. */
export const draftLesson = () => call(`${root}/draft`, {});
export const approveLesson = () => call(`${root}/approve`, {});

export const restart = () => call(`${root}/restart`, {});

/** @returns {Promise<{reasons: {label: string, title: string, polarity: string}[]}>} */
export const readWidget = () => call("/v1/widget", undefined, { authorization: `Bearer ${key}` });

/**
 * Give feedback on one answer, several judgements in one go.
 * @param {{id: string, token: string}} message
 * @param {Record<string, unknown>[]} judgements
 */
export async function give(message, judgements) {
  const submission = newId();
  const data = judgements.map((each) => ({
    ...each,
    id: newId(),
    trace_id: message.id,
    submission_id: submission,
  }));
  const answer = await call("/v1/feedback", { data }, keys(message));
  const refused = answer.data.find((/** @type {any} */ each) => each.error);
  if (refused) throw new Refused(refused.error.message);
}

/**
 * Take a judgement back.
 * @param {{token: string}} message
 * @param {string} id
 */
export const withdraw = (message, id) =>
  call(`/v1/feedback/${encodeURIComponent(id)}/withdraw`, {}, keys(message));

/** @param {{token: string}} message */
const keys = (message) => ({ authorization: `Bearer ${key}`, "teachback-token": message.token });

/**
 * @param {string} path
 * @param {unknown} [body] sent by POST when there is one
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
async function call(path, body, headers = {}) {
  const request =
    body === undefined
      ? { headers }
      : {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify(body),
        };
  const response = await fetch(path, request).catch(() => null);
  if (!response) throw new Refused("The server does not answer. Is the demo still running?");
  const text = await response.text();
  const answer = text ? JSON.parse(text) : {};
  if (!response.ok) throw new Refused(answer.error?.message ?? `The server says ${response.status}.`);
  return answer;
}

/** A random id; `crypto.randomUUID` exists in secure contexts only. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
