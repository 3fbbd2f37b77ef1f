-- The append-only log: the columns of the PostgreSQL one, in SQLite's types.
create table events (
    -- Place in the whole log, from 1, dense, in commit order.
    position       integer primary key check (position > 0),
    -- The kind of stream, such as 'job'.
    aggregate_type text    not null,
    -- Which one, such as a job's UUID.
    aggregate_id   text    not null,
    -- Place in the stream, from 1, dense.
    sequence       integer not null check (sequence > 0),
    -- Stable name, such as 'job.claimed'.
    event_type     text    not null,
    -- Version of the payload's schema, a whole number.
    event_version  text    not null,
    -- JSON, opaque to the database.
    payload        text    not null,
    -- JSON, flat object of strings: actor, command_id, …
    metadata       text    not null,
    -- UUIDv7 of the event itself, as text.
    event_id       text    not null,
    -- When, in microseconds since 1970 UTC, by the clock of the server that recorded it.
    recorded_at    integer not null,
    constraint events_stream_sequence unique (aggregate_type, aggregate_id, sequence)
) strict;
