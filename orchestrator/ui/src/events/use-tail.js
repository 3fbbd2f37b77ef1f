/** The newest events that pass a filter, as they come; or those around a position, as they were. */

import { useEffect, useState } from "preact/hooks";

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

/** @typedef {{ events: EventBody[] | undefined, older: Older }} Page */

/** @type {Page} */
const NOTHING = { events: undefined, older: null };

/**
 * @param {Filter} filter
 * @param {Place} place
 * @returns {Tail}
 */
export function useTail(filter, place) {
  const [page, setPage] = useState(NOTHING);
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  /** What is shown while it is paused; the page goes on beside it. */
  const [paused, setPaused] = useState(/** @type {Page | null} */ (null));
  const wanted = query(filter) + JSON.stringify(place);

  useEffect(() => {
    setPage(NOTHING);
    setPaused((before) => before && NOTHING);
    const follower = new EventFollower(filter, place, {
      onStart: (events, older) => {
        setError(null);
        setPage({ events, older });
        // Paused before there was anything to see: this is what is seen then.
        setPaused((before) => before && (before.events ? before : { events, older }));
      },
      onOlder: (more, older) => {
        setPage((before) => withOlder(before, more, older));
        setPaused((before) => (before?.older === "looking" ? withOlder(before, more, older) : before));
      },
      onMore: (more) => setPage(({ events = [], older }) => ({ events: [...more, ...events].slice(0, MAX_KEPT), older })),
      onError: setError,
    });
    return () => follower.stop();
    // Both are new objects each time; their text is what counts.
  }, [wanted]);

  const { events, older } = paused ?? page;
  const last = events?.[0]?.position ?? 0;
  const missed = paused ? (page.events?.filter(({ position }) => position > last).length ?? 0) : 0;
  // Of those that came, the oldest give way.
  const before = events?.length === MAX_KEPT ? (events.at(-1)?.position ?? null) : older;
  const address = typeof before === "number" && before > 1 ? `/events${query({ ...filter, before })}` : null;
  const togglePause = () => setPaused(paused ? null : page);
  return { events, error, isLooking: older === "looking", isPaused: paused !== null, missed, older: address, togglePause };
}

/**
 * @param {Page} page
 * @param {EventBody[]} more
 * @param {Older} older
 * @returns {Page}
 */
function withOlder({ events = [] }, more, older) {
  const last = events.at(-1)?.position ?? Infinity;
  return { events: [...events, ...more.filter(({ position }) => position < last)], older };
}
