/** Times, durations and numbers as texts. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const NUMBERS = new Intl.NumberFormat("en");
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY_OF_YEAR = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const DATE_AND_CLOCK = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/**
 * @param {number} count
 * @returns {string} such as `12,345`
 */
export function formatCount(count) {
  return NUMBERS.format(count);
}

/**
 * @param {number} count
 * @param {string} noun in the singular
 * @returns {string} such as `1 job`, `2 jobs`
 */
export function counted(count, noun) {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * @param {number} seconds
 * @returns {string} the two largest units: `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`
 */
export function formatDuration(seconds) {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1_000))} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < MINUTE) return `${Math.floor(seconds)} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ${Math.floor(seconds % MINUTE)} s`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ${Math.floor((seconds % HOUR) / MINUTE)} min`;
  return `${Math.floor(seconds / DAY)} d ${Math.floor((seconds % DAY) / HOUR)} h`;
}

/**
 * @param {string} from RFC 3339
 * @param {string | number} to RFC 3339, or milliseconds since 1970
 * @returns {number} seconds, never below 0: clocks differ
 */
export function secondsBetween(from, to) {
  const end = typeof to === "number" ? to : dateOf(to).getTime();
  return Math.max(0, (end - dateOf(from).getTime()) / 1_000);
}

/**
 * @param {string} time RFC 3339, where a leap second has the number 60, which `Date` does not know
 * @returns {Date}
 */
function dateOf(time) {
  return new Date(time.replace(":60", ":59"));
}

/**
 * @param {string} time RFC 3339
 * @param {number} now milliseconds since 1970
 * @returns {string} such as `just now`, `5 min ago`
 */
export function formatAgo(time, now) {
  const seconds = secondsBetween(time, now);
  if (seconds < 5) return "just now";
  if (seconds < MINUTE) return `${Math.floor(seconds)} s ago`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ago`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`;
  return `${Math.floor(seconds / DAY)} d ago`;
}

/**
 * @param {string} time RFC 3339
 * @returns {string} date and time of day, here
 */
export function formatTime(time) {
  return DATE_AND_CLOCK.format(dateOf(time));
}

/**
 * @param {string} time RFC 3339
 * @returns {string} time of day, here
 */
export function formatClock(time) {
  return CLOCK.format(dateOf(time));
}

/**
 * @param {string} time RFC 3339
 * @param {number} now milliseconds since 1970
 * @returns {string} time of day, here; with the day where that is not today
 */
export function formatMoment(time, now) {
  const [then, today] = [dateOf(time), new Date(now)];
  const clock = formatClock(time);
  return then.toDateString() === today.toDateString() ? clock : `${DAY_OF_YEAR.format(then)} ${clock}`;
}

/**
 * @param {string} id a UUID
 * @returns {string} its end, which differs most between ids of one time
 */
export function shortId(id) {
  return id.slice(-8);
}

/**
 * @param {string} name as the API writes it, such as `max_retries`
 * @returns {string} such as `Max retries`
 */
export function capitalized(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * @param {string} text such as the detail of a refusal
 * @returns {string} with a capital at its beginning and a full stop at its end
 */
export function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
