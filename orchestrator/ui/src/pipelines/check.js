/** What a script says on its own, before anything is saved. */

import { ApiError, send } from "../api/client.js";

/** @typedef {import("../api/types.js").Checked} Checked */
/** @typedef {import("../api/types.js").Pipeline} Pipeline */

/**
 * @param {string} script
 * @returns {Promise<{ says: Checked | null, refusal: string }>} nothing where it is no definition, and why
 */
export async function check(script) {
  try {
    return { says: /** @type {Checked} */ (await send("POST", "/api/pipeline/check", { script })), refusal: "" };
  } catch (refusal) {
    if (!(refusal instanceof ApiError) || refusal.code !== "invalid_definition") throw refusal;
    return { says: null, refusal: refusal.message };
  }
}

/**
 * @param {Checked} says what the script of a pipeline says
 * @param {Pipeline} pipeline
 * @returns {boolean} whether nothing was said beside it
 */
export function saysAll(says, pipeline) {
  const members = /** @type {(keyof Checked)[]} */ (Object.keys(says));
  return members.every((member) => JSON.stringify(says[member]) === JSON.stringify(pipeline[member]));
}
