/** The newest events that pass a filter, as they come; or those around a position, as they were. */

import { useEffect, useRef, useState } from "preact/hooks";

import { query } from "../api/client.js";
import { EventFollower, MAX_KEPT } from "./follow-events.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */
/** @typedef {import("../api/client.js").ApiError} ApiError */
/** @typedef {import("./follow-events.js").Filter} Filter */
/** @typedef {import("./follow-events.js").Place} Place */
/** @typedef {import("./follow-events.js").Older} Older */

/**
 * @typedef {object} Tail
 * @property {EventBody[] | undefined} events newest first
 * @property {ApiError | null} error
 * @property {boolean} isLooking whether older ones are still looked for
 * @property {boolean} isPaused
 * @property {number} missed how many came while it was paused
 * @property {string | null} older address of the events before these
 * @property {() => void} togglePause
 */

/**
 * @param {Filter} filter
 * @param {Place} place
 * @returns {Tail}
 */
export function useTail(filter, place) {
  const [events, setEvents] = useState(/** @type {EventBody[] | undefined} */ (undefined));
  const [older, setOlder] = useState(/** @type {Older} */ (null));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const [isPaused, setPaused] = useState(false);
  const [held, setHeld] = useState(/** @type {EventBody[]} */ ([]));
  const [missed, setMissed] = useState(0);
  const paused = useRef(false);
  paused.current = isPaused;
  const wanted = query(filter) + JSON.stringify(place);

  useEffect(() => {
    setEvents(undefined);
    forget();
    const follower = new EventFollower(filter, place, {
      onStart: (first, rest) => {
        setError(null);
        setEvents(first);
        setOlder(rest);
        forget();
      },
      onOlder: (more, rest) => {
        setEvents((known = []) => [...known, ...more]);
        setOlder(rest);
      },
      onMore: (more) => {
        if (!paused.current) return setEvents((known) => joined(more, known));
        setHeld((known) => joined(more, known));
        setMissed((count) => count + more.length);
      },
      onError: setError,
    });
    return () => follower.stop();
    // Both are new objects each time; their text is what counts.
  }, [wanted]);

  function forget() {
    setHeld([]);
    setMissed(0);
  }

  function togglePause() {
    if (isPaused) {
      setEvents((known) => joined(held, known));
      forget();
    }
    setPaused(!isPaused);
  }

  // Of those that came, the oldest give way.
  const before = events?.length === MAX_KEPT ? (events.at(-1)?.position ?? null) : older;
  const address = typeof before === "number" && before > 1 ? `/events${query({ ...filter, before })}` : null;
  return { events, error, isLooking: older === "looking", isPaused, missed, older: address, togglePause };
}

/**
 * @param {EventBody[]} newer
 * @param {EventBody[]} [older]
 */
function joined(newer, older = []) {
  return [...newer, ...older].slice(0, MAX_KEPT);
}
