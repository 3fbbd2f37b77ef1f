/** Where the focus goes when what had it is gone. */

/** To the heading of the page, from which a screen reader goes on. */
export function focusHeading() {
  document.querySelector("h1")?.focus({ preventScroll: true });
}
