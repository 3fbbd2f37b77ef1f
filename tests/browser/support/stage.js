/** A server and a browser for the tests of one file. */

import { after, before } from "node:test";

import { launchBrowser, open } from "./browser.js";
import { Server } from "./server.js";

/**
 * Starts both before the tests of a file, and stops them afterwards.
 * @template T
 * @param {(server: Server) => Promise<T>} prepare
 */
export function stage(prepare) {
  /** @type {{ server: Server, browser: import("playwright-core").Browser, sample: T }} */
  const stage = /** @type {any} */ ({});
  before(async () => {
    stage.server = await Server.start();
    stage.browser = await launchBrowser();
    stage.sample = await prepare(stage.server);
  });
  after(async () => {
    await stage.browser?.close();
    await stage.server?.stop();
  });
  return {
    /** @returns {T} */
    get sample() {
      return stage.sample;
    },
    get server() {
      return stage.server;
    },
    get api() {
      return stage.server.api;
    },
    /** @param {import("playwright-core").BrowserContextOptions} [options] */
    open: (options) => open(stage.browser, stage.server.address, options),
  };
}
