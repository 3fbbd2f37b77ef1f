/**
 * JSON without loss: a whole number that is too large for this language stays the text that it was written as, where
 * the browser has a way to say so.
 */

/** Not yet in the types. */
const rawJSON = /** @type {((text: string) => unknown) | undefined} */ (/** @type {any} */ (JSON).rawJSON);

/** What may be too large; most texts have nothing like it, and are read at full speed. */
const LONG_NUMBER = /\d{16}/;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/i;

/**
 * @param {string} text
 * @returns {any}
 */
export function readJson(text) {
  return rawJSON && LONG_NUMBER.test(text) ? JSON.parse(text, /** @type {any} */ (kept)) : JSON.parse(text);
}

/**
 * @param {string} text such as a field has it
 * @returns {unknown} what is sent as this very number; null where it is none
 */
export function numberOf(text) {
  if (rawJSON && NUMBER.test(text)) return rawJSON(text);
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : null;
}

/**
 * @param {string} _name
 * @param {unknown} value
 * @param {{ source: string }} context
 */
function kept(_name, value, { source }) {
  return typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER ? rawJSON?.(source) : value;
}
