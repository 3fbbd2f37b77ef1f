/**
 * The history of a job: what happened, who did it, and how the job stood after it. The slider goes through time; the
 * address keeps where it stands.
 */

import { capitalized, formatMoment, formatTime } from "../format.js";
import { actorOf, describe } from "../events/describe.js";
import { html } from "../html.js";
import { serverNow } from "../live/server-time.js";
import { setQuery, useLocation } from "../router.js";
import { Fact, Json } from "../ui/parts.js";

/** @typedef {import("../api/types.js").HistoryEvent} HistoryEvent */
/** @typedef {import("../api/types.js").Job} Job */

/**
 * What of a job its life changes.
 * @type {(keyof Job)[]}
 */
const MEMBERS = ["status", "phase", "attempt", "runner_id", "started_at", "completed_at", "reason", "result"];

/** @param {{ events: HistoryEvent[] }} props */
export function History({ events }) {
  const { query } = useLocation();
  const at = Number(query.get("at"));
  const last = events.length - 1;
  const asked = at ? events.findLastIndex(({ position }) => position <= at) : last;
  const chosen = asked < 0 ? last : asked;

  /** @param {number} place */
  const choose = (place) => setQuery({ at: place === last ? null : String(events[place]?.position) });

  const event = events[chosen];
  if (!event) return null;
  return html`<div class="history">
    <div>
      ${last > 0 && html`<${Slider} events=${events} chosen=${chosen} onChoose=${choose} />`}
      <ol class="history-list">
        ${events.map(
          (one, place) =>
            html`<${Entry} key=${one.position} event=${one} isChosen=${place === chosen} onChoose=${() => choose(place)} />`,
        )}
      </ol>
    </div>
    <${StateAfter} event=${event} before=${events[chosen - 1]?.state} isLast=${chosen === last} />
  </div>`;
}

/** @param {{ events: HistoryEvent[], chosen: number, onChoose: (place: number) => void }} props */
function Slider({ events, chosen, onChoose }) {
  const event = /** @type {HistoryEvent} */ (events[chosen]);
  return html`<label class="slider">
    <span>Go through time: event ${chosen + 1} of ${events.length}</span>
    <input
      type="range"
      min="0"
      max=${events.length - 1}
      value=${chosen}
      aria-valuetext=${`${describe(event)}, ${formatTime(event.recorded_at)}`}
      onInput=${(/** @type {any} */ input) => onChoose(Number(input.currentTarget.value))}
    />
  </label>`;
}

/** @param {{ event: HistoryEvent, isChosen: boolean, onChoose: () => void }} props */
function Entry({ event, isChosen, onChoose }) {
  return html`<li class=${isChosen ? "is-chosen" : ""}>
    <button type="button" class="history-entry" aria-pressed=${isChosen} onClick=${onChoose}>
      <time datetime=${event.recorded_at} title=${formatTime(event.recorded_at)}>${formatMoment(event.recorded_at, serverNow())}</time>
      <span class="clamped"><strong>${describe(event)}</strong> <span class="quiet">by ${actorOf(event)}</span></span>
    </button>
  </li>`;
}

/** @param {{ event: HistoryEvent, before: Partial<Job> | undefined, isLast: boolean }} props */
function StateAfter({ event, before, isLast }) {
  const { metadata } = event;
  return html`<div class="state-after" aria-live="polite">
    <h3>${isLast ? "How it stands" : `How it stood after event ${event.sequence}`}</h3>
    <${Members} state=${event.state} before=${before} />
    <h3>The event</h3>
    <dl class="facts">
      <${Fact} name="Type"><code>${event.type}</code><//>
      <${Fact} name="Position"><a href=${`/events?after=${event.position - 1}`}>${event.position}</a><//>
      <${Fact} name="By">${actorOf(event)}<//>
      ${metadata.request_id && html`<${Fact} name="Request"><code>${metadata.request_id}</code><//>`}
      ${metadata.causation_id && html`<${Fact} name="Cause"><code>${metadata.causation_id}</code><//>`}
    </dl>
    <details>
      <summary>Payload</summary>
      <${Json} value=${event.payload} label="Payload of the event" />
    </details>
  </div>`;
}

/** @param {{ state: Partial<Job>, before: Partial<Job> | undefined }} props */
function Members({ state, before }) {
  const shown = MEMBERS.filter((name) => state[name] !== null && state[name] !== undefined);
  return html`<dl class="facts">
    ${shown.map((name) => {
      const isChanged = before !== undefined && JSON.stringify(before[name]) !== JSON.stringify(state[name]);
      return html`<${Fact} key=${name} name=${capitalized(name)}>
        <span class=${isChanged ? "is-changed" : ""}>${textOf(name, state[name])}${isChanged && html` <span class="tag">changed</span>`}</span>
      <//>`;
    })}
  </dl>`;
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function textOf(name, value) {
  if (name.endsWith("_at")) return formatTime(String(value));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
