/** Follows the log of a job while it is looked at: first what there is, then each entry as it comes. */

import { ApiError, query } from "../api/client.js";
import { Connection } from "../live/connection.js";
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
    this.isGoingBack = false;
    this.connection = new Connection({
      begin: (signal) => this.begin(signal),
      onError: (error) => this.fail(error),
      onHidden: () => reader.onState("paused"),
    });
    this.connection.start();
  }

  stop() {
    this.connection.stop();
    this.gathered.flush();
  }

  /** Loads what was too much to be loaded unasked. */
  goOn() {
    this.pages.allowMore();
    void this.connection.restart();
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

  /** @param {AbortSignal} signal */
  async begin(signal) {
    this.reader.onState("loading");
    await this.pages.catchUp(signal);
    if (signal.aborted) return;
    if (this.pages.isFull) this.reader.onState("full");
    else this.listen(signal);
  }

  /** @param {ApiError} error */
  fail(error) {
    this.reader.onError(error);
    this.connection.retry();
  }

  /** @param {AbortSignal} signal */
  listen(signal) {
    const source = this.connection.listen(`${this.path}/stream${query({ after: this.pages.last })}`);
    source.onopen = () => this.reader.onState("live");
    source.onmessage = (message) => {
      this.pages.take([JSON.parse(message.data)]);
      if (!this.pages.isFull) return;
      source.close();
      this.reader.onState("full");
    };
    source.addEventListener("end", () => {
      this.connection.settle();
      source.close();
      this.gathered.flush();
      this.reader.onState("ended");
      this.pages.allowMore();
      this.readAgain(AFTER_END_MS, signal);
    });
    source.onerror = () => this.reader.onState("away");
  }

  /** @param {number[]} pauses @param {AbortSignal} signal */
  readAgain([pause, ...others], signal) {
    if (pause === undefined) return;
    const readOthers = () => this.readAgain(others, signal);
    const read = () => this.pages.takeOn(signal).then(readOthers, () => signal.aborted || readOthers());
    this.connection.later(read, pause);
  }
}
