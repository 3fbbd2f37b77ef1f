-- Segments of the archive of job logs, which are kept outside of the database: how each is found.
create table archive_segments (
    -- 1, 2, …
    segment bigint primary key,
    -- Its name in the store of the archive.
    object  text   not null
);

-- Where a log, or a part of it, is in a segment: a row a block, written in the transaction that takes the events of
-- the block out of `events`. So at any time each event is in one of the two places.
create table archived_logs (
    -- The job.
    job_id         uuid    not null,
    -- Index of the first log entry of the job in the block.
    first_index    bigint  not null,
    -- Sequence of its first event in the block, and of its last.
    first_sequence bigint  not null,
    last_sequence  bigint  not null,
    -- The segment.
    segment        bigint  not null,
    -- Where the block is in the segment, and how long it is, in bytes.
    block_offset   bigint  not null,
    block_length   bigint  not null,
    primary key (job_id, first_index)
);

-- Whether a segment is still needed.
create index archived_logs_segment on archived_logs (segment);

-- What was deleted of jobs that are not kept any more: one row, raised in the transactions that delete.
create table purged (
    -- 1: the row.
    id     bigint  primary key check (id = 1),
    -- Jobs.
    jobs   bigint  not null,
    -- Events that were in `events`.
    events bigint  not null
);
