/** Addresses: every page has a real one, and links within the dashboard change it without a reload. */

import { useEffect, useState } from "preact/hooks";

import { focusHeading } from "./ui/focus.js";

/** @typedef {{ path: string, query: URLSearchParams, hash: string }} Location */

const CHANGED = "locationchange";

/** Paths that the server answers with something other than the dashboard. */
const FOREIGN = /^\/(api|assets|docs|metrics|livez|readyz)(\/|$)/;

/** @returns {Location} */
function currentLocation() {
  const { pathname, search, hash } = window.location;
  return { path: pathname, query: new URLSearchParams(search), hash: hash.slice(1) };
}

/** How long a page may take to be as high as it was when it was left. */
const PATIENCE_MS = 3_000;

let shownPath = window.location.pathname;
/** Each change of pages is another one: an earlier one scrolls no more. */
let change = 0;

/** Whether leaving this page would lose something; null where nothing can be lost. @type {(() => boolean) | null} */
let hasUnsaved = null;

/**
 * Asks before this page is left for another one, or closed, while it has something that is not saved.
 * @param {() => boolean} isUnsaved looked at when it is about to be left
 */
export function useUnsaved(isUnsaved) {
  useEffect(() => {
    const beforeUnload = (/** @type {Event} */ event) => isUnsaved() && event.preventDefault();
    hasUnsaved = isUnsaved;
    window.addEventListener("beforeunload", beforeUnload);
    return () => {
      hasUnsaved = null;
      window.removeEventListener("beforeunload", beforeUnload);
    };
  }, []);
}

/**
 * @param {string} path of where one is about to go
 * @returns {boolean}
 */
function mayGo(path) {
  return path === shownPath || !hasUnsaved?.() || window.confirm("What you changed is not saved. Leave this page?");
}

/**
 * Goes to another page, as a link would.
 * @param {string} address
 */
export function navigate(address) {
  if (!mayGo(new URL(address, window.location.href).pathname)) return;
  history.replaceState({ scrolled: window.scrollY }, "");
  history.pushState(null, "", address);
  const isSamePage = window.location.pathname === shownPath;
  scrollWhenShown(0);
  window.dispatchEvent(new Event(CHANGED));
  if (isSamePage) focusHeading();
}

/** On the way back, a page is where it was when it was left. @param {Event} event */
function goneBack(event) {
  if (!mayGo(window.location.pathname)) {
    // The browser is there already: the page that is kept comes after it.
    history.pushState(null, "", shownPath);
    event.stopImmediatePropagation();
    return;
  }
  const scrolled = history.state?.scrolled;
  if (scrolled !== undefined || window.location.pathname !== shownPath) scrollWhenShown(scrolled ?? 0);
}

/**
 * Scrolls as soon as the page is shown, and high enough.
 * @param {number} top
 */
function scrollWhenShown(top) {
  shownPath = window.location.pathname;
  change += 1;
  const [mine, deadline] = [change, performance.now() + PATIENCE_MS];
  requestAnimationFrame(function step() {
    if (mine !== change) return;
    window.scrollTo(0, top);
    if (Math.ceil(window.scrollY) < Math.floor(top) && performance.now() < deadline) requestAnimationFrame(step);
  });
}

/**
 * Changes the query of this page, such as its filters: no new entry in the history, and the focus stays.
 * @param {Record<string, string | null | undefined>} changes nothing removes the name
 */
export function setQuery(changes) {
  const url = new URL(window.location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  history.replaceState(null, "", url);
  window.dispatchEvent(new Event(CHANGED));
}

/**
 * Changes the fragment of this page, such as the line of a log.
 * @param {string} hash without `#`
 */
export function setHash(hash) {
  const { pathname, search } = window.location;
  history.replaceState(null, "", `${pathname}${search}${hash ? `#${hash}` : ""}`);
  window.dispatchEvent(new Event(CHANGED));
}

/** @returns {Location} the present one; the component is rendered again when it changes */
export function useLocation() {
  const [location, setLocation] = useState(currentLocation);
  useEffect(() => {
    const update = () => setLocation(currentLocation());
    window.addEventListener("popstate", update);
    window.addEventListener(CHANGED, update);
    return () => {
      window.removeEventListener("popstate", update);
      window.removeEventListener(CHANGED, update);
    };
  }, []);
  return location;
}

/** Takes over plain clicks on links within the dashboard; all others stay the browser's. */
export function followLinks() {
  history.scrollRestoration = "manual";
  window.addEventListener("popstate", goneBack);
  document.addEventListener("click", (event) => {
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || !isPlain || event.defaultPrevented || !isOurs(link)) return;
    event.preventDefault();
    navigate(link.href);
  });
}

/**
 * @param {HTMLAnchorElement} link
 * @returns {boolean} whether it leads to another page of the dashboard
 */
function isOurs(link) {
  const isWithinPage = link.pathname === window.location.pathname && link.hash !== "";
  const isElsewhere = link.origin !== window.location.origin || FOREIGN.test(link.pathname);
  return !isWithinPage && !isElsewhere && !link.target && !link.hasAttribute("download");
}
