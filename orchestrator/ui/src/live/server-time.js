/** The time as the server has it: what it tells is of its clock, and the one of this machine may be wrong. */

/** Clocks that differ by less are taken for the same: an answer names whole seconds, and takes its time. */
const TOLERANCE_MS = 2_000;
/** An answer names the second that its time is in. */
const HALF_SECOND_MS = 500;

/** How much later it is there than here. */
let aheadMs = 0;

/** @param {Response} response an answer that was made just now */
export function hearTime(response) {
  const told = Date.parse(response.headers.get("date") ?? "");
  if (Number.isNaN(told)) return;
  const heardMs = told + HALF_SECOND_MS - Date.now();
  if (Math.abs(heardMs - aheadMs) > TOLERANCE_MS) aheadMs = Math.abs(heardMs) > TOLERANCE_MS ? heardMs : 0;
}

/** @returns {number} milliseconds since 1970 */
export function serverNow() {
  return Date.now() + aheadMs;
}
