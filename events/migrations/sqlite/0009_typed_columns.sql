-- Read models keep their columns in another form now: they are made anew from the log. A table that is left over, of a
-- read model that was rebuilt before, is dropped when its name is needed.
drop table if exists checkpoints;
drop table if exists parked_streams;
drop table if exists skipped_events;
drop table if exists pipelines_g1;
drop table if exists jobs_g1;
drop table if exists job_queue_g1;
drop table if exists runners_g1;
drop table if exists job_logs_g1;
drop table if exists pipeline_activity_g1;
drop table if exists job_flow_g1;
drop table if exists lifetimes_g1;
drop table if exists webhooks_g1;
