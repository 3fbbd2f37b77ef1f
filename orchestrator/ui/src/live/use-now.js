/** The present time, for durations that grow while they are looked at. One clock ticks for all of them. */

import { useEffect, useState } from "preact/hooks";

import { serverNow } from "./server-time.js";

const TICK_MS = 1_000;

/** @type {Set<(now: number) => void>} */
const watchers = new Set();
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;

/**
 * @param {boolean} [isTicking] whether the time is to go on
 * @returns {number} milliseconds since 1970, by the clock of the server; the component is rendered again each second
 */
export function useNow(isTicking = true) {
  const [now, setNow] = useState(serverNow);
  useEffect(() => (isTicking ? watch(setNow) : undefined), [isTicking]);
  return now;
}

/** @param {(now: number) => void} watcher */
function watch(watcher) {
  watchers.add(watcher);
  timer ??= setInterval(tick, TICK_MS);
  return () => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

function tick() {
  if (document.hidden) return;
  const now = serverNow();
  watchers.forEach((watcher) => watcher(now));
}
