/** A headless browser, and pages that report whatever goes wrong in them. */

import { chromium } from "playwright-core";

const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";

const OPTIONS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The longest wait for something to become visible, in milliseconds. */
const PATIENCE_MS = 15_000;

export function launchBrowser() {
  return chromium.launch({ executablePath: PROGRAM, args: OPTIONS });
}

/**
 * @typedef {object} Opened
 * @property {import("playwright-core").Page} page
 * @property {string[]} problems errors of the console, and violations of the content security policy
 */

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} address
 * @param {import("playwright-core").BrowserContextOptions} [options]
 * @returns {Promise<Opened>}
 */
export async function open(browser, address, options = {}) {
  const context = await browser.newContext({ baseURL: address, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  /** @type {string[]} */
  const problems = [];
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    // Failed requests are reported below, with their addresses.
    const isOfNetwork = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isOfNetwork) problems.push(`console: ${message.text()}`);
  });
  page.on("response", (response) => {
    // That a script is no definition is an answer too.
    const isRefusedCheck = response.status() === 422 && response.url().endsWith("/api/pipeline/check");
    if (response.status() >= 400 && !isRefusedCheck) problems.push(`${response.status()}: ${response.url()}`);
  });
  return { page, problems };
}

/**
 * Tells a page that its tab was left, or is visible again.
 * @param {import("playwright-core").Page} page
 * @param {boolean} isHidden
 */
export async function pretendHidden(page, isHidden) {
  await page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
}
