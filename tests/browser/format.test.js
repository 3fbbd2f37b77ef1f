/** Formatting of times and numbers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { formatClock, formatMoment, formatTime, secondsBetween } from "../../orchestrator/ui/src/format.js";

test("the day begins at 00:00", () => {
  assert.equal(formatClock("2026-02-03T00:05:09"), "00:05:09");
});

test("a moment of another day is told with the day", () => {
  const now = Date.parse("2026-02-03T12:00:00");
  assert.equal(formatMoment("2026-02-03T01:02:03", now), "01:02:03");
  assert.match(formatMoment("2026-02-02T23:02:03", now), /2.* 23:02:03$/);
});

test("a leap second, or what claims to be one, is told as the second before", () => {
  assert.equal(formatClock("2026-01-31T12:00:60"), "12:00:59");
  assert.equal(formatTime("2026-01-31T12:00:60Z"), formatTime("2026-01-31T12:00:59Z"));
  assert.equal(secondsBetween("2026-01-31T12:00:50Z", "2026-01-31T12:00:60Z"), 9);
  assert.match(formatMoment("2026-02-02T23:02:60", Date.parse("2026-02-03T12:00:00")), /2.* 23:02:59$/);
});
