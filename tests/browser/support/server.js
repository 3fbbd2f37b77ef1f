/** A real server with a store of its own, and real runners. */

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { Api } from "./api.js";

const ROOT = resolve(import.meta.dirname, "../../..");

/** The program: a debug build, unless another one is named. */
const PROGRAM = process.env.RIVET_PROGRAM || join(ROOT, "target/debug/rivet-orchestrator");

const STOP_MS = 10_000;

export class Server {
  /**
   * @param {string} directory
   * @param {import("node:child_process").ChildProcess} process
   * @param {string} address
   */
  constructor(directory, process, address) {
    this.directory = directory;
    this.process = process;
    this.address = address;
    this.api = new Api(address);
    /** @type {import("node:child_process").ChildProcess[]} */
    this.runners = [];
  }

  /**
   * @param {string[]} [options] of `serve`
   * @returns {Promise<Server>} one that answers
   */
  static async start(options = []) {
    const directory = await mkdtemp(join(tmpdir(), "rivet-browser-"));
    const { process, address } = await serve(directory, "127.0.0.1:0", options);
    return new Server(directory, process, address);
  }

  /** The file of its database. */
  get file() {
    return join(this.directory, "rivet.db");
  }

  /** Stops the server as an operator would, and starts it again at the same address and over the same store. */
  async restart() {
    const { process } = await serve(this.directory, new URL(this.address).host, []);
    this.process = process;
  }

  /**
   * @param {string} id
   * @param {string[]} [options] of `runner`
   */
  startRunner(id, options = []) {
    const args = ["runner", "--server", this.address, "--id", id, "--work-dir", join(this.directory, "work"), ...options];
    this.runners.push(spawn(PROGRAM, args, { stdio: "ignore" }));
  }

  /** Stops the server alone: its store stays. */
  async halt() {
    await ended(this.process);
  }

  async stop() {
    await Promise.all([this.process, ...this.runners].map(ended));
    await rm(this.directory, { recursive: true, force: true });
  }
}

/**
 * @param {string} directory
 * @param {string} listen
 * @param {string[]} options
 */
async function serve(directory, listen, options) {
  const args = [
    "serve",
    "--listen",
    listen,
    "--database-url",
    `sqlite://${directory}/rivet.db`,
    "--log-filter",
    "warn",
    ...options,
  ];
  const process = spawn(PROGRAM, args, { stdio: ["ignore", "ignore", "pipe"] });
  const address = await announced(process);
  return { process, address };
}

/**
 * @param {import("node:child_process").ChildProcess} process
 * @returns {Promise<string>} the address that its log line names
 */
function announced(process) {
  return new Promise((found, failed) => {
    let said = "";
    process.stderr?.on("data", (data) => {
      said += data;
      const address = /listening on (\S+?),/.exec(said)?.[1];
      if (address) found(address);
    });
    process.on("error", failed);
    process.on("exit", () => failed(new Error(`the server did not start: ${said}`)));
  });
}

/** @param {import("node:child_process").ChildProcess} process */
async function ended(process) {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const exited = new Promise((resolved) => process.once("exit", resolved));
  const impatience = setTimeout(() => process.kill("SIGKILL"), STOP_MS);
  process.kill("SIGTERM");
  await exited;
  clearTimeout(impatience);
}
