/** Talks to the API: answers as JSON, refusals as `ApiError`. */

import { sentence } from "../format.js";
import { hearTime } from "../live/server-time.js";
import { readJson } from "./json.js";

/** What the server refused, or that it could not be reached. */
export class ApiError extends Error {
  /**
   * @param {string} message for people
   * @param {{ status: number, code: string, requestId?: string }} problem status 0: no answer came
   */
  constructor(message, { status, code, requestId }) {
    super(message);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }

  /** Whether the server was not there. */
  get isUnreachable() {
    return this.status === 0 || this.status === 502 || this.status === 504;
  }

  /** Whether what was asked for does not exist, or its id is none. */
  get isMissing() {
    return this.status === 404 || this.code === "invalid_path";
  }

  /** Whether the server has decided, and asking the same again is of no use; otherwise it may pass, or have been done. */
  get isRefusal() {
    return this.status >= 400 && this.status < 500;
  }
}

/**
 * @template T
 * @typedef {object} Answer
 * @property {T} body
 * @property {boolean} isStale whether the read models had not caught up in time
 * @property {string | null} next path of the next page of a list
 */

/**
 * @typedef {object} Asking
 * @property {AbortSignal} [signal]
 * @property {number} [minPosition] a position of the log that the answer must reflect
 */

/**
 * @template T
 * @param {string} path
 * @param {Asking} [asking]
 * @returns {Promise<Answer<T>>}
 */
export async function get(path, { signal, minPosition } = {}) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json" };
  if (minPosition) headers["rivet-min-position"] = String(minPosition);
  return answer(await request(path, { headers, signal }));
}

/**
 * The pages of a list as one, up to a bound: there were more where its `next` is not null.
 * @template Row
 * @param {string} path
 * @param {number} most pages
 * @param {Asking} [asking]
 * @returns {Promise<Answer<Row[]>>}
 */
export async function getPages(path, most, asking) {
  const all = /** @type {Answer<Row[]>} */ (await get(path, asking));
  for (let page = 1; all.next && page < most; page += 1) {
    const more = /** @type {Answer<Row[]>} */ (await get(all.next, asking));
    all.body.push(...more.body);
    all.next = more.next;
  }
  return all;
}

/**
 * Sends a command. Its request id says in the history that it came through the dashboard.
 * @template T
 * @param {"POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {Record<string, string>} [headers]
 * @returns {Promise<T>}
 */
export async function send(method, path, body, headers = {}) {
  /** @type {RequestInit} */
  const init = { method, headers: { accept: "application/json", "x-request-id": `${DASHBOARD}${randomKey()}`, ...headers } };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, "content-type": "application/json" };
  }
  const answered = /** @type {Answer<T>} */ (await answer(await request(path, init)));
  return answered.body;
}

/** What the request ids of commands begin with that were sent from here. */
export const DASHBOARD = "dashboard-";

/** @returns {string} a key that nobody else has; also where `crypto.randomUUID` is kept from plain HTTP */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {Record<string, string | number | null | undefined>} values
 * @returns {string} a query with `?`, or nothing
 */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}

/**
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<Response>} one of success
 */
async function request(path, init) {
  let response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached.", { status: 0, code: "unreachable" });
  }
  hearTime(response);
  if (!response.ok) throw await refusal(response);
  return response;
}

/**
 * @param {Response} response
 * @returns {Promise<ApiError>}
 */
async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const message = problem.detail ?? problem.error ?? `The server answered ${response.status}.`;
  const code = problem.code ?? "unknown";
  return new ApiError(sentence(message), { status: response.status, code, requestId: problem.request_id });
}

/**
 * @template T
 * @param {Response} response
 * @returns {Promise<Answer<T>>}
 */
async function answer(response) {
  const link = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get("link") ?? "");
  return {
    body: await bodyOf(response),
    isStale: response.headers.get("rivet-stale") === "true",
    next: link?.[1] ?? null,
  };
}

/** @param {Response} response */
async function bodyOf(response) {
  try {
    const text = await response.text();
    return text ? readJson(text) : undefined;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The answer of the server broke off.", { status: 0, code: "broken_answer" });
  }
}
