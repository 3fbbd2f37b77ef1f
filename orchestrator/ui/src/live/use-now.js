/** The present time, for durations that grow while they are looked at. */

import { useEffect, useState } from "preact/hooks";

/**
 * @param {number} [everyMs]
 * @returns {number} milliseconds since 1970; the component is rendered again as it goes on
 */
export function useNow(everyMs = 1_000) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
