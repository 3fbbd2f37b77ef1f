/** Follows something while the page is looked at: from the beginning when it is seen again, and after a failure. */

import { ApiError } from "../api/client.js";

/**
 * @typedef {object} Followed
 * @property {(signal: AbortSignal) => Promise<void>} begin loads what there is, and listens for what comes
 * @property {(error: ApiError) => void} onError why it did not begin
 * @property {() => void} [onHidden]
 */

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 15_000;

export class Connection {
  /** @param {Followed} followed */
  constructor(followed) {
    this.followed = followed;
    this.aborter = new AbortController();
    /** @type {EventSource | null} */
    this.source = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.retryMs = FIRST_RETRY_MS;
  }

  start() {
    document.addEventListener("visibilitychange", this.restart);
    void this.restart();
  }

  /** Leaves what has begun as it is from now on, whether or not the page is seen. */
  settle() {
    document.removeEventListener("visibilitychange", this.restart);
  }

  stop() {
    this.settle();
    this.pause();
  }

  pause() {
    this.aborter.abort();
    this.source?.close();
    clearTimeout(this.timer);
  }

  restart = async () => {
    this.pause();
    if (document.hidden) {
      this.followed.onHidden?.();
      return;
    }
    this.aborter = new AbortController();
    const { signal } = this.aborter;
    try {
      await this.followed.begin(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.followed.onError(error);
    }
  };

  /** Begins anew after a pause that doubles with each failure, and is spread: all pages of a server lose it at once. */
  retry() {
    this.later(this.restart, this.retryMs * (0.5 + Math.random() / 2));
    this.retryMs = Math.min(this.retryMs * 2, LAST_RETRY_MS);
  }

  /** @param {() => void} action is not done once the connection is closed @param {number} pause */
  later(action, pause) {
    clearTimeout(this.timer);
    this.timer = setTimeout(action, pause);
  }

  /** @param {string} path of a stream, which comes back by itself after the last message, unless the server refused it */
  listen(path) {
    const source = new EventSource(path);
    this.source = source;
    source.addEventListener("open", () => (this.retryMs = FIRST_RETRY_MS));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) this.retry();
    });
    return source;
  }
}
