/** Says what has changed to those who do not see it. */

const REGION = "announcements";

/** @param {string} text */
export function announce(text) {
  const region = document.getElementById(REGION);
  if (region) region.textContent = text;
}

export const ANNOUNCEMENTS = REGION;
