/** The feed of all events: the newest, as they come. */

import { formatCount } from "../format.js";
import { html } from "../html.js";
import { EVENT_TYPES } from "../events/describe.js";
import { EventList } from "../events/event-list.js";
import { MAX_KEPT } from "../events/follow-events.js";
import { useTail } from "../events/use-tail.js";
import { setQuery, useLocation } from "../router.js";
import { focusHeading } from "../ui/focus.js";
import { PageHeading } from "../ui/parts.js";
import { Empty, Failure, Loading } from "../ui/states.js";
import { TypedInput } from "../ui/typed-input.js";

const STREAM_TYPES = ["job", "job_log", "pipeline", "runner", "claim", "group", "projection", "webhook", "archive"];

export function Events() {
  const { query } = useLocation();
  const filter = {
    type: query.get("type") ?? "",
    stream_type: query.get("stream_type") ?? "",
    stream_id: query.get("stream_id") ?? "",
  };
  const place = placeOf(query);
  const tail = useTail(filter, place);
  return html`<${PageHeading} title="Events">
      ${
        place === null
          ? html`<button type="button" aria-pressed=${tail.isPaused} onClick=${tail.togglePause}>
              ${tail.isPaused ? "Go on" : "Pause"}
            </button>`
          : html`<a class="button" href="/events">Newest, live</a>`
      }
    <//>
    <${EventFilters} filter=${filter} />
    <${Body} tail=${tail} isAtPlace=${place !== null} isFiltered=${Object.values(filter).some(Boolean)} />`;
}

/**
 * @param {URLSearchParams} query
 * @returns {import("../events/follow-events.js").Place}
 */
function placeOf(query) {
  if (query.has("after")) return { after: Number(query.get("after")) };
  return query.has("before") ? { before: Number(query.get("before")) } : null;
}

/** @param {{ tail: import("../events/use-tail.js").Tail, isAtPlace: boolean, isFiltered: boolean }} props */
function Body({ tail, isAtPlace, isFiltered }) {
  const { events, error, missed, isLooking } = tail;
  function showMissed() {
    tail.togglePause();
    // The button is gone then.
    focusHeading();
  }
  if (!events) return error ? html`<${Failure} error=${error} what="feed" />` : html`<${Loading} rows=${12} />`;
  return html`${error && html`<p class="notice" role="status">This is how it was before: ${error.message}</p>`}
  ${
    missed > 0 &&
    html`<p class="notice" role="status">
      ${formatCount(missed)} ${missed < MAX_KEPT ? "more" : "or more"} have come meanwhile. <button type="button" onClick=${showMissed}>Show them</button>
    </p>`
  }
  ${
    events.length === 0 && !isLooking
      ? html`<${Nothing} isAtPlace=${isAtPlace} isFiltered=${isFiltered} />`
      : events.length > 0 && html`<${EventList} events=${events} />`
  }
  ${isLooking && html`<p class="quiet" role="status">Looking further back…</p>`}
  ${tail.older && html`<nav class="pages" aria-label="Pages of the feed"><span></span><a href=${tail.older}>Older events</a></nav>`}`;
}

/** @param {{ isAtPlace: boolean, isFiltered: boolean }} props */
function Nothing({ isAtPlace, isFiltered }) {
  if (isAtPlace) return html`<${Empty} title="No event is there"><p><a href="/events">Show the newest</a></p><//>`;
  if (isFiltered) {
    return html`<${Empty} title="There is no event like that"><p>New ones appear here. <a href="/events">Show all</a></p><//>`;
  }
  return html`<${Empty} title="Nothing has happened yet"><p>Begin with a <a href="/pipelines/new">pipeline</a>.</p><//>`;
}

/** @param {{ filter: { type: string, stream_type: string, stream_id: string } }} props */
function EventFilters({ filter }) {
  const narrow = (/** @type {Record<string, string>} */ change) => setQuery({ ...change, after: null, before: null });
  const change = (/** @type {string} */ name) => (/** @type {any} */ event) => narrow({ [name]: event.currentTarget.value });
  return html`<form
    class="filters"
    role="search"
    aria-label="Filter the events"
    onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}
  >
    <label class="field">Type
      <select value=${filter.type} onChange=${change("type")}>
        <option value="">All</option>
        ${EVENT_TYPES.map((type) => html`<option key=${type} value=${type}>${type}</option>`)}
      </select>
    </label>
    <label class="field">About
      <select value=${filter.stream_type} onChange=${change("stream_type")}>
        <option value="">Everything</option>
        ${STREAM_TYPES.map((type) => html`<option key=${type} value=${type}>${type.replace("_", " ")}s</option>`)}
      </select>
    </label>
    <label class="field">Id
      <${TypedInput}
        type="search"
        value=${filter.stream_id}
        placeholder="of a job, pipeline or runner"
        onValue=${(/** @type {string} */ id) => narrow({ stream_id: id })}
      />
    </label>
  </form>`;
}
