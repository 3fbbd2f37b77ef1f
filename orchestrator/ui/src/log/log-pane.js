/** The log of a job: its lines, following its end, searching it, and taking it along. */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";

import { formatCount } from "../format.js";
import { html } from "../html.js";
import { useLocation } from "../router.js";
import { Empty } from "../ui/states.js";
import { downloadLog } from "./download.js";
import { LogFollower } from "./follow-log.js";
import { LogLines } from "./lines.js";
import { LogView } from "./log-view.js";
import { useSearch } from "./use-search.js";

const STATES = {
  loading: "loading…",
  live: "live",
  away: "connecting again…",
  ended: "ended",
  paused: "paused",
  full: "not all loaded",
};

/**
 * @param {{ jobId: string, startsAtEnd: boolean, hasEnded: boolean }} props `startsAtEnd`: what is of interest is there;
 *   `hasEnded`: the job has, so that there is no end to follow
 */
export function LogPane({ jobId, startsAtEnd, hasEnded }) {
  const { hash } = useLocation();
  const marked = hash.startsWith("L") ? hash.slice(1) : "";
  const { lines, count, state, trouble, goOn, goBack } = useLog(jobId, startOf(marked, startsAtEnd));
  const [isFollowing, setFollowing] = useState(marked === "" && startsAtEnd);
  const [isWrapped, setWrapped] = useState(true);
  const [target, setTarget] = useState(/** @type {{ line: number } | null} */ (null));
  const show = useCallback((/** @type {number} */ line) => {
    setFollowing(false);
    setTarget({ line });
  }, []);
  const search = useSearch(lines, count, show);

  // The line that the address names is shown once it is there.
  const line = marked ? lines.find(marked) : -1;
  const isThere = line >= 0;
  useEffect(() => {
    if (isThere) show(line);
  }, [marked, isThere, show]);

  const entries = `${formatCount(lines.lastIndex)} ${lines.lastIndex === 1 ? "entry" : "entries"}`;
  return html`<div class="log-pane">
    <div class="log-tools">
      <${SearchField} search=${search} />
      <${Check} name="Wrap" isOn=${isWrapped} onChange=${setWrapped} />
      ${!hasEnded && html`<${Check} name="Follow" isOn=${isFollowing} onChange=${setFollowing} />`}
      <${Download} jobId=${jobId} />
      <span class="quiet log-state">${entries} · <span role="status">${STATES[state]}</span></span>
    </div>
    ${trouble && html`<p class="notice" role="status">${trouble}</p>`}
    ${
      marked &&
      !isThere &&
      count > 0 &&
      state !== "loading" &&
      html`<p class="notice" role="status">Line ${marked} is not among those that are here.</p>`
    }
    ${
      state === "full" &&
      html`<p class="notice">
        This log is long: it is here up to entry ${formatCount(lines.lastIndex)}. <button type="button" onClick=${goOn}>Load more</button>
      </p>`
    }
    ${
      lines.firstIndex > 1 &&
      html`<p class="notice">
        This log is long: it is here from entry ${formatCount(lines.firstIndex)} on. <button type="button" onClick=${goBack}>Load earlier</button>
      </p>`
    }
    ${
      count === 0 && state !== "loading"
        ? html`<${Empty} title=${state === "ended" ? "Nothing was logged" : "Nothing is logged yet"}><p>
              ${state === "ended" ? "The job ended without a line." : "Lines appear here as soon as the runner sends them."}
            </p><//>`
        : html`<${LogView}
            lines=${lines.all}
            count=${count}
            shifted=${lines.shifted}
            isWrapped=${isWrapped}
            isFollowing=${isFollowing}
            onFollow=${setFollowing}
            target=${target}
            marked=${marked}
            words=${search.words}
            found=${search.line}
            isWhole=${state === "ended"}
          />`
    }
  </div>`;
}

/** Entries before the one that the address names. */
const CONTEXT = 500;

/**
 * @param {string} marked what the address names
 * @param {boolean} startsAtEnd
 * @returns {import("./log-pages.js").Start}
 */
function startOf(marked, startsAtEnd) {
  const index = Number.parseInt(marked, 10);
  if (index > 0) return { after: Math.max(0, index - 1 - CONTEXT) };
  return startsAtEnd ? "end" : { after: 0 };
}

/**
 * @param {string} jobId
 * @param {import("./log-pages.js").Start} start where the first reading begins
 */
function useLog(jobId, start) {
  const lines = useMemo(() => new LogLines(), [jobId]);
  const [count, setCount] = useState(0);
  const [state, setState] = useState(/** @type {import("./follow-log.js").LogState} */ ("loading"));
  const [trouble, setTrouble] = useState("");
  const following = useRef(/** @type {LogFollower | null} */ (null));
  useEffect(() => {
    const follower = new LogFollower(jobId, start, {
      onEntries(entries) {
        lines.add(entries);
        setCount(lines.all.length);
      },
      onEarlier(entries) {
        lines.addEarlier(entries);
        setTrouble("");
        setCount(lines.all.length);
      },
      onState(next) {
        // What comes after loading has not failed.
        if (next !== "loading") setTrouble("");
        setState(next);
      },
      onError: ({ message }) => setTrouble(`The log cannot be read: ${message} It is tried again.`),
      onNoEarlier: ({ message }) => setTrouble(`Earlier entries cannot be loaded: ${message}`),
    });
    following.current = follower;
    return () => follower.stop();
  }, [jobId, lines]);
  return { lines, count, state, trouble, goOn: () => following.current?.goOn(), goBack: () => following.current?.goBack() };
}

/** @param {{ search: import("./use-search.js").Search }} props */
function SearchField({ search }) {
  /** @param {KeyboardEvent} event */
  function onKeyDown(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (event.shiftKey) search.previous();
    else search.next();
  }
  const { words, found, place } = search;
  return html`<div class="log-search" role="search">
    <input
      type="search"
      placeholder="Search the log"
      aria-label="Search the log"
      onKeyDown=${onKeyDown}
      onInput=${(/** @type {any} */ event) => search.setWords(event.currentTarget.value)}
    />
    ${
      words &&
      html`<span role="status">${found === 0 ? "none" : `${formatCount(place + 1)} of ${formatCount(found)}`}</span>
        <button type="button" onClick=${search.previous} disabled=${found === 0} aria-label="Previous match">↑</button>
        <button type="button" onClick=${search.next} disabled=${found === 0} aria-label="Next match">↓</button>`
    }
  </div>`;
}

/** @param {{ name: string, isOn: boolean, onChange: (isOn: boolean) => void }} props */
function Check({ name, isOn, onChange }) {
  return html`<label class="check">
    <input type="checkbox" checked=${isOn} onChange=${() => onChange(!isOn)} />
    ${name}
  </label>`;
}

/** @param {{ jobId: string }} props */
function Download({ jobId }) {
  const [state, setState] = useState("");
  async function download() {
    setState("loading…");
    await downloadLog(jobId).then(
      () => setState(""),
      () => setState("failed: try again"),
    );
  }
  return html`<button type="button" onClick=${download}>
    Download <span role="status">${state}</span>
  </button>`;
}
