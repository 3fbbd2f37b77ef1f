/** What surrounds every page: the way to the others, the state of the connection, the theme. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { feedState, listen } from "../live/feed.js";
import { useLocation } from "../router.js";
import { currentTheme, cycleTheme } from "../theme.js";
import { ANNOUNCEMENTS } from "./announce.js";

const PAGES = [
  { path: "/", name: "Overview" },
  { path: "/jobs", name: "Jobs" },
  { path: "/pipelines", name: "Pipelines" },
  { path: "/runners", name: "Runners" },
  { path: "/events", name: "Events" },
  { path: "/projections", name: "Projections" },
];

/** @param {{ children: import("preact").ComponentChildren }} props */
export function Layout({ children }) {
  return html`<a class="skip-link" href="#main">Skip to the content</a>
    <header class="top">
      <a class="brand" href="/">Rivet</a>
      <${Navigation} />
      <div class="top-end"><${Connection} /><${ThemeButton} /></div>
    </header>
    <main id="main" tabindex="-1">${children}</main>
    <div id=${ANNOUNCEMENTS} class="visually-hidden" aria-live="polite"></div>`;
}

function Navigation() {
  const { path } = useLocation();
  const [isOpen, setOpen] = useState(false);
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  useEffect(() => setOpen(false), [path]);

  /** @param {KeyboardEvent} event */
  function onKeyDown(event) {
    if (event.key !== "Escape" || !isOpen) return;
    setOpen(false);
    button.current?.focus();
  }

  const links = PAGES.map((page) => {
    const isHere = page.path === "/" ? path === "/" : path === page.path || path.startsWith(`${page.path}/`);
    return html`<li key=${page.path}>
      <a href=${page.path} aria-current=${isHere ? "page" : undefined}>${page.name}</a>
    </li>`;
  });
  return html`<nav class="navigation" aria-label="Pages" onKeyDown=${onKeyDown}>
    <button
      ref=${button}
      type="button"
      class="menu-button"
      aria-expanded=${isOpen}
      aria-controls="pages"
      onClick=${() => setOpen(!isOpen)}
    >
      Menu
    </button>
    <ul id="pages" class=${isOpen ? "is-open" : ""} onClick=${() => setOpen(false)}>${links}</ul>
  </nav>`;
}

const CONNECTION = { connecting: "Connecting…", live: "Live", paused: "Paused", away: "Server away" };

function Connection() {
  const [state, setState] = useState(feedState);
  useEffect(() => listen({ onState: setState }), []);
  return html`<span class=${`connection connection-${state}`} role="status">${CONNECTION[state]}</span>`;
}

const THEMES = { system: "Theme: system", light: "Theme: light", dark: "Theme: dark" };

function ThemeButton() {
  const [theme, setTheme] = useState(currentTheme);
  return html`<button type="button" class="quiet-button" onClick=${() => setTheme(cycleTheme())}>
    ${THEMES[theme]}
  </button>`;
}
