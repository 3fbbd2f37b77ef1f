/** The vendored files of the dashboard are those that their packages published, with their licences. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";

const VENDOR = resolve(import.meta.dirname, "../../orchestrator/ui/vendor");
const PACKAGES = resolve(import.meta.dirname, "node_modules");

/** Each vendored file, and where it is in its package. */
const FILES = {
  "preact/preact.mjs": "preact/dist/preact.mjs",
  "preact/hooks.mjs": "preact/hooks/dist/hooks.mjs",
  "preact/LICENSE": "preact/LICENSE",
  "htm/htm.module.js": "htm/dist/htm.module.js",
  "htm/LICENSE": "htm/LICENSE",
  "uplot/uPlot.esm.js": "uplot/dist/uPlot.esm.js",
  "uplot/uPlot.min.css": "uplot/dist/uPlot.min.css",
  "uplot/LICENSE": "uplot/LICENSE",
  "ansi_up/ansi_up.js": "ansi_up/ansi_up.js",
  "ansi_up/LICENSE": "ansi_up/LICENSE",
};

for (const [ours, theirs] of Object.entries(FILES)) {
  test(`${ours} is as its package has it`, () => {
    assert.ok(readFileSync(resolve(VENDOR, ours)).equals(readFileSync(resolve(PACKAGES, theirs))));
  });
}
