/** A client of the API, as a runner or a script uses it. */

/** Lines per batch: well below the largest body. */
const BATCH = 5_000;

export class Api {
  /** @param {string} address */
  constructor(address) {
    this.address = address;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>}
   */
  async send(method, path, body) {
    const response = await fetch(this.address + path, {
      method,
      headers: { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  /** @param {string} path */
  get(path) {
    return this.send("GET", path);
  }

  /** @param {Record<string, unknown>} definition */
  createPipeline(definition) {
    return this.send("POST", "/api/pipeline/create", definition);
  }

  /**
   * @param {string} pipelineId
   * @param {Record<string, unknown>} [parameters]
   */
  launch(pipelineId, parameters = {}) {
    return this.send("POST", "/api/pipeline/launch", { pipeline_id: pipelineId, parameters });
  }

  /**
   * Claims a job by hand.
   * @param {string} jobId
   * @param {string} runnerId
   */
  claim(jobId, runnerId) {
    return this.send("POST", `/api/jobs/${jobId}/claim`, { runner_id: runnerId });
  }

  /**
   * Launches a job and claims it by hand, so that it runs.
   * @param {string} runnerId
   * @param {string} pipelineId
   * @param {Record<string, unknown>} [parameters]
   */
  async launchOn(runnerId, pipelineId, parameters) {
    const job = await this.launch(pipelineId, parameters);
    await this.claim(job.id, runnerId);
    return job;
  }

  /**
   * @param {string} jobId
   * @param {string[]} messages
   * @param {string} [level]
   */
  async log(jobId, messages, level = "Info") {
    const timestamp = new Date().toISOString();
    for (let from = 0; from < messages.length; from += BATCH) {
      const entries = messages.slice(from, from + BATCH).map((message) => ({ timestamp, level, message }));
      await this.send("POST", `/api/jobs/${jobId}/logs`, { entries });
    }
  }

  /**
   * @param {string} jobId
   * @param {Record<string, unknown>} [result]
   */
  complete(jobId, result = { success: true, exit_code: 0 }) {
    return this.send("POST", `/api/jobs/${jobId}/complete`, { result });
  }
}
