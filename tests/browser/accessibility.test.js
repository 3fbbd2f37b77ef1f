/** Accessibility: what axe-core finds on every page, in both themes. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import { fill, pagesOf } from "./support/sample.js";
import { stage } from "./support/stage.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const on = stage(fill);

test("no page has a finding in either theme", async (t) => {
  for (const [name, { path, shows }] of Object.entries(pagesOf(on.sample))) {
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      await t.test(`${name}, ${colorScheme}`, async () => {
        const { page } = await on.open({ colorScheme });
        await page.goto(path);
        await page.getByText(shows).filter({ visible: true }).first().waitFor();
        assert.deepEqual(await findings(page), []);
        await page.context().close();
      });
    }
  }
});

test("dialogs have no finding, keep the focus, and give it back", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.waiting.id}`);
  const opener = page.getByRole("button", { name: "Cancel…" });
  await opener.click();
  await page.getByRole("dialog", { name: "Cancel this job?" }).waitFor();
  assert.deepEqual(await findings(page), []);
  assert.ok(await page.evaluate(() => document.activeElement?.closest("dialog") !== null));
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.ok(await opener.evaluate((button) => button === document.activeElement));
  await page.context().close();
});

/**
 * @param {import("playwright-core").Page} page
 * @returns {Promise<string[]>}
 */
async function findings(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => /** @type {any} */ (window).axe.run());
  return violations.map(
    (/** @type {any} */ { id, nodes }) =>
      `${id}: ${nodes.map((/** @type {any} */ node) => `${node.html} ${node.failureSummary}`).join("\n")}`,
  );
}
