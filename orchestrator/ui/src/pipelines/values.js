/** The values of a launch form as the parameters of a launch. */

import { numberOf } from "../api/json.js";

/** @typedef {import("../api/types.js").Input} Input */

/**
 * @param {Record<string, Input>} inputs
 * @param {FormData} form fields named `input:NAME`
 * @returns {Record<string, unknown>} nothing for a field that was left as it was, and the default counts; but an empty
 *   text for one whose text was removed
 */
export function parametersOf(inputs, form) {
  /** @type {Record<string, unknown>} */
  const parameters = {};
  for (const [name, input] of Object.entries(inputs)) {
    const text = form.get(fieldName(name));
    if (typeof text !== "string" || text === presetOf(input)) continue;
    if (text !== "" || takesEmpty(input)) parameters[name] = valueOf(input, text);
  }
  return parameters;
}

const TYPES = { string: "A text.", number: "A number." };

/**
 * @param {Input} input
 * @returns {string} what may be put into its field, and what counts if nothing is
 */
export function hintOf(input) {
  const { type, options } = input;
  const kind = TYPES[/** @type {keyof typeof TYPES} */ (type)];
  // What can be chosen says it itself.
  if (options || !kind) return "";
  if (presetOf(input) === "") return kind;
  return `${kind} ${takesEmpty(input) ? "Emptied, it is sent as an empty text." : `Empty: the default, ${presetOf(input)}.`}`;
}

/**
 * @param {Input} input
 * @returns {boolean} whether a field that was emptied is a value: where there was nothing in it, it may be untouched
 */
function takesEmpty(input) {
  return input.type === "string" && !input.options && presetOf(input) !== "";
}

/** @param {string} name of an input */
export function fieldName(name) {
  return `input:${name}`;
}

/**
 * @param {Input} input
 * @returns {string} its default as a field shows it; empty where there is none
 */
export function presetOf({ default: preset }) {
  return preset === undefined || preset === null ? "" : textOf(preset);
}

/**
 * @param {unknown} value of a default or an option
 * @returns {string} as a field shows it
 */
export function textOf(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * @param {Input} input
 * @param {string} text
 * @returns {unknown} what is no number stays a text: the server says what is wrong with it
 */
function valueOf({ type, options }, text) {
  const option = options?.find((one) => textOf(one) === text);
  if (option !== undefined) return option;
  if (type === "bool") return text === "true";
  return type === "number" ? (numberOf(text) ?? text) : text;
}
