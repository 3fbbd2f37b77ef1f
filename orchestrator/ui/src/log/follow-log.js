/** Follows the log of a job while it is looked at: first what there is, then each entry as it comes. */

import { ApiError, query } from "../api/client.js";
import { gather } from "./gather.js";
import { LogPages } from "./log-pages.js";

/** @typedef {import("../api/types.js").LogEntry} LogEntry */

/** @typedef {"loading" | "live" | "away" | "ended" | "paused" | "full"} LogState */

/**
 * @typedef {object} Reader
 * @property {(entries: LogEntry[]) => void} onEntries
 * @property {(entries: LogEntry[]) => void} onEarlier those before the first ones
 * @property {(state: LogState) => void} onState
 * @property {(error: ApiError) => void} onError it is tried again by itself
 * @property {(error: ApiError) => void} onNoEarlier why those before the first ones did not come; nothing tries it again
 */

const RETRY_MS = 3_000;
/** When the log is read again after the job has ended: its runner may still send what it had gathered. */
const AFTER_END_MS = [2_000, 5_000, 15_000, 60_000];

export class LogFollower {
  /**
   * @param {string} jobId
   * @param {import("./log-pages.js").Start} start
   * @param {Reader} reader
   */
  constructor(jobId, start, reader) {
    this.reader = reader;
    this.path = `/api/jobs/${encodeURIComponent(jobId)}/logs`;
    this.gathered = gather(reader.onEntries);
    this.pages = new LogPages(this.path, start, this.gathered.add);
    this.hasEnded = false;
    this.isGoingBack = false;
    this.aborter = new AbortController();
    /** @type {EventSource | null} */
    this.source = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.retry = undefined;
    document.addEventListener("visibilitychange", this.followVisibility);
    this.followVisibility();
  }

  stop() {
    document.removeEventListener("visibilitychange", this.followVisibility);
    this.pause();
    this.gathered.flush();
  }

  /** Loads what was too much to be loaded unasked. */
  goOn() {
    this.pages.allowMore();
    void this.catchUp();
  }

  /** Loads entries before the first ones. */
  async goBack() {
    if (this.isGoingBack) return;
    this.isGoingBack = true;
    try {
      this.reader.onEarlier(await this.pages.takeEarlier());
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.reader.onNoEarlier(error);
    } finally {
      this.isGoingBack = false;
    }
  }

  followVisibility = () => {
    if (this.hasEnded) return;
    this.pause();
    if (document.hidden) {
      this.reader.onState("paused");
    } else {
      this.aborter = new AbortController();
      void this.catchUp();
    }
  };

  pause() {
    this.aborter.abort();
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
  }

  catchUp = async () => {
    const { signal } = this.aborter;
    this.reader.onState("loading");
    try {
      await this.pages.catchUp(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.reader.onError(error);
      this.retry = setTimeout(this.catchUp, RETRY_MS);
      return;
    }
    if (signal.aborted) return;
    if (this.pages.isFull) this.reader.onState("full");
    else this.listen();
  };

  listen() {
    const source = new EventSource(`${this.path}/stream${query({ after: this.pages.last })}`);
    this.source = source;
    source.onopen = () => this.reader.onState("live");
    source.onmessage = (message) => {
      this.pages.take([JSON.parse(message.data)]);
      if (!this.pages.isFull) return;
      source.close();
      this.reader.onState("full");
    };
    source.addEventListener("end", () => {
      this.hasEnded = true;
      source.close();
      this.gathered.flush();
      this.reader.onState("ended");
      this.pages.allowMore();
      this.readAgain(AFTER_END_MS);
    });
    // It comes back by itself after the last entry, unless the server refused it.
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) this.retry = setTimeout(this.catchUp, RETRY_MS);
      this.reader.onState("away");
    };
  }

  /** @param {number[]} pauses */
  readAgain([pause, ...others]) {
    if (pause === undefined) return;
    const { signal } = this.aborter;
    const read = () =>
      this.pages.takeOn(signal).then(
        () => this.readAgain(others),
        () => signal.aborted || this.readAgain(others),
      );
    this.retry = setTimeout(read, pause);
  }
}
