/** The colour theme: that of the system, unless another one was chosen here. */

/** @typedef {"system" | "light" | "dark"} Theme */

const KEY = "rivet-theme";

/** @type {Record<Theme, Theme>} */
const NEXT = { system: "light", light: "dark", dark: "system" };

/** @returns {Theme} */
export function currentTheme() {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "light" || chosen === "dark" ? chosen : "system";
}

/**
 * Chooses the next theme, keeps it for the next visit, and tells the charts, which draw with its colours.
 * @returns {Theme} the chosen one
 */
export function cycleTheme() {
  const theme = NEXT[currentTheme()];
  if (theme === "system") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(KEY);
  } else {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(KEY, theme);
  }
  window.dispatchEvent(new Event("themechange"));
  return theme;
}

/**
 * Calls back whenever the colours change, by choice or by the system.
 * @param {() => void} listener
 * @returns {() => void} stops it
 */
export function onThemeChange(listener) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  window.addEventListener("themechange", listener);
  system.addEventListener("change", listener);
  return () => {
    window.removeEventListener("themechange", listener);
    system.removeEventListener("change", listener);
  };
}
