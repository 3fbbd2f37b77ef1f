/** The bodies of the API as the dashboard reads them; `docs/api.md` is their description. */

/**
 * @typedef {"Queued" | "Running" | "Succeeded" | "Failed" | "Cancelled" | "TimedOut"} JobStatus
 *
 * @typedef {object} JobResult
 * @property {boolean} success
 * @property {number} exit_code
 * @property {unknown} [output]
 * @property {string | null} [error_message]
 *
 * @typedef {object} Waiting
 * @property {number} place 1 is the next
 * @property {"ready" | "busy" | "no_runner" | "concurrency" | "backoff"} reason
 * @property {string[]} missing_capabilities
 * @property {string} [group] that is full
 * @property {string[]} held_by jobs that hold its places
 *
 * @typedef {object} Job
 * @property {string} id
 * @property {string} pipeline_id
 * @property {number} pipeline_version
 * @property {JobStatus} status
 * @property {"queued" | "backoff" | "claimed" | "started" | "cancelling" | "ended"} phase
 * @property {string} requested_at
 * @property {string | null} started_at
 * @property {string | null} completed_at
 * @property {string | null} runner_id
 * @property {Record<string, unknown>} parameters
 * @property {JobResult | null} result
 * @property {number} attempt
 * @property {number} priority
 * @property {string | null} retry_of
 * @property {string | null} reason
 * @property {Waiting} [waiting]
 *
 * @typedef {object} LogEntry
 * @property {number} index 1, 2, … over all attempts
 * @property {number} attempt
 * @property {string} timestamp
 * @property {"Debug" | "Info" | "Warning" | "Error"} level
 * @property {string} message
 *
 * @typedef {object} Input
 * @property {string} type
 * @property {string} [description]
 * @property {boolean} [required]
 * @property {unknown} [default]
 * @property {unknown[]} [options]
 *
 * @typedef {object} PipelineConfig
 * @property {number | null} [timeout_seconds]
 * @property {number} [max_retries]
 * @property {Record<string, string>} [env_vars]
 * @property {number} [priority]
 *
 * @typedef {object} Pipeline
 * @property {string} id
 * @property {number} version
 * @property {string} name
 * @property {string | null} description
 * @property {string} script
 * @property {string[]} required_modules
 * @property {string} created_at
 * @property {string} updated_at
 * @property {(string | { key: string, value: string })[]} tags
 * @property {PipelineConfig} config
 * @property {string[]} demands
 * @property {Record<string, Input>} inputs
 *
 * @typedef {Omit<Pipeline, "id" | "version" | "created_at" | "updated_at">} Checked a definition that is not recorded
 *
 * @typedef {object} Version
 * @property {number} version
 * @property {string} name
 * @property {string} script
 * @property {string} created_at
 * @property {string | null} actor
 * @property {boolean} current
 *
 * @typedef {object} VersionDiff
 * @property {string} script a unified diff; empty where the scripts are the same
 * @property {{ setting: string, from: unknown, to: unknown }[]} settings
 *
 * @typedef {object} Runner
 * @property {string} id
 * @property {string[]} capabilities
 * @property {boolean} unrestricted
 * @property {string} registered_at
 * @property {string} last_heartbeat_at
 * @property {"Online" | "Busy" | "Offline"} status
 *
 * @typedef {object} PipelineStats
 * @property {string} pipeline_id
 * @property {string} name
 * @property {number} queued
 * @property {number} running
 * @property {number} succeeded since the beginning, as the next ones
 * @property {number} failed
 * @property {number} cancelled
 * @property {number} timed_out
 *
 * @typedef {object} Stats
 * @property {number} queued
 * @property {number} running
 * @property {number} oldest_waiting_seconds
 * @property {{ online: number, busy: number, offline: number }} runners
 * @property {PipelineStats[]} by_pipeline
 *
 * @typedef {object} StatsPoint
 * @property {string} minute
 * @property {number} launched
 * @property {number} succeeded
 * @property {number} failed
 * @property {number} timed_out
 * @property {number} queued at its end
 * @property {number} running at its end
 * @property {number | null} average_wait_seconds
 * @property {number | null} longest_wait_seconds
 *
 * @typedef {object} Metadata
 * @property {string} [actor]
 * @property {string} [correlation_id]
 * @property {string} [causation_id]
 * @property {string} [request_id]
 *
 * @typedef {object} EventBody
 * @property {number} position
 * @property {string} event_id
 * @property {string} type
 * @property {number} version
 * @property {string} stream_type
 * @property {string} stream_id
 * @property {number} sequence
 * @property {string} recorded_at
 * @property {Record<string, any>} payload
 * @property {Metadata} metadata
 *
 * @typedef {EventBody & { state: Job }} HistoryEvent an event of a job, and how the job stood after it
 *
 * @typedef {{ events: HistoryEvent[] }} JobHistory
 *
 * @typedef {object} Projection
 * @property {string} name
 * @property {number} version
 * @property {"live" | "rebuilding"} state
 * @property {number} position
 * @property {number} head
 * @property {number} lag_events
 * @property {number} lag_seconds
 * @property {number} parked
 *
 * @typedef {object} ParkedStream
 * @property {string} stream_type
 * @property {string} stream_id
 * @property {number} position of the event that could not be applied
 * @property {string} error
 */

export {};
