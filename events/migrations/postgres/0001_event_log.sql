-- The append-only log. A superset of the postgres-es layout, so that every cqrs-es tool can read it.
-- Keys compare as bytes: ids that sort by time grow the indexes at their right edge, whatever the locale.
create table events (
    -- cqrs-es: the kind of stream, such as 'job'.
    aggregate_type text        collate "C" not null,
    -- cqrs-es: which one, such as a job's UUID.
    aggregate_id   text        collate "C" not null,
    -- cqrs-es: place in the stream, from 1, dense.
    sequence       bigint      not null check (sequence > 0),
    -- Stable name, such as 'job.claimed'.
    event_type     text        not null,
    -- Version of the payload's schema, a whole number.
    event_version  text        not null,
    -- Opaque to the database, hence json and not jsonb.
    payload        json        not null,
    -- Flat object of strings: actor, command_id, …
    metadata       json        not null,
    -- Place in the whole log, from 1, dense, in commit order: given under the append lock.
    position       bigint      not null check (position > 0),
    -- UUIDv7 of the event itself.
    event_id       uuid        not null,
    -- When, by the clock of the server that recorded it.
    recorded_at    timestamptz not null,
    constraint events_stream_sequence primary key (aggregate_type, aggregate_id, sequence),
    constraint events_position unique (position)
);
