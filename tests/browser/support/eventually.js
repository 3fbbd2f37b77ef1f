/** Waits until a condition becomes true. */

import { setTimeout as pause } from "node:timers/promises";

const PATIENCE_MS = 20_000;
const STEP_MS = 50;

/** @param {() => Promise<boolean> | boolean} isSo */
export async function eventually(isSo) {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await pause(STEP_MS)) {
    if (await isSo()) return;
  }
  throw new Error(`it did not become so: ${isSo}`);
}
