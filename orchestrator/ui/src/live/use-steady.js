/** What the pointer moves over stays where it is: nobody is to click what has just slipped under it. */

import { useEffect, useRef, useState } from "preact/hooks";

/** So long after the last movement it goes on: a pointer that was left there holds up nothing. */
const REST_MS = 1_500;

/**
 * @template T
 * @param {T} value that may change at any time
 * @returns {{ steady: T, over: { onPointerMove: () => void, onPointerLeave: () => void } }} `over`: for the element that shows it
 */
export function useSteady(value) {
  const [isHeld, setHeld] = useState(false);
  const shown = useRef(value);
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  if (!isHeld) shown.current = value;

  function onPointerMove() {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setHeld(false), REST_MS);
    setHeld(true);
  }

  function onPointerLeave() {
    clearTimeout(timer.current);
    setHeld(false);
  }

  useEffect(() => () => clearTimeout(timer.current), []);
  return { steady: shown.current, over: { onPointerMove, onPointerLeave } };
}
