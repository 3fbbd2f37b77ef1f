/** A fault that the API cannot cause: an event that this build does not know, as a withdrawn build leaves behind. */

import { readFile, writeFile } from "node:fs/promises";

import initSqlJs from "sql.js";

const EVENT = `insert into events
    (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, event_id, recorded_at)
  select (select max(position) + 1 from events), aggregate_type, aggregate_id, sequence + 1, 'job.teleported', '1',
    '{"type":"job.teleported"}', '{}', '01a21390-e777-7000-8000-000000000001', recorded_at
  from events where aggregate_type = 'job' and aggregate_id = ? order by sequence desc limit 1`;

/**
 * @param {string} file database of a stopped server
 * @param {string} jobId the job to whose stream the event is appended
 */
export async function poison(file, jobId) {
  const { Database } = await initSqlJs();
  const database = new Database(await readFile(file));
  database.run(EVENT, [jobId]);
  await writeFile(file, database.export());
  database.close();
}
