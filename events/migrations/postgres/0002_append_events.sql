-- Stores a batch of appends in one round trip, so that the append lock is never held while a client thinks or
-- hangs. Each append stands for itself: one with a stale write is left out, the others are stored.
--
-- A stream that one append has events for must not be named by another append of the batch. Call it in read
-- committed isolation, as a statement of its own: then each statement below sees all that was committed before the
-- lock was taken. How it is planned, the session says: settings of the function itself would be set and unset with
-- each call, for half the cost of a small batch.
create function append_events(
    -- One element a stream of an append, with or without events: its append, its name, the version it must be at.
    write_appends    int[],
    write_types       text[],
    write_ids         text[],
    write_expecteds   bigint[],
    -- One element an event, in order: its append, and its columns.
    event_appends    int[],
    aggregate_types   text[],
    aggregate_ids     text[],
    sequences         bigint[],
    event_types       text[],
    event_versions    text[],
    payloads          text[],
    metadatas         text[],
    event_ids         uuid[],
    recorded_ats      timestamptz[],
    -- The position before the first event stored.
    out base          bigint,
    -- Which writes were stale: 1 for the first, ascending.
    out stale_writes  int[]
)
language plpgsql
as $$
declare
    stale_appends int[];
begin
    -- Held to the end of the transaction, which is after the commit is visible: whoever takes the lock next sees
    -- these events, and numbers its own after them. So positions are dense and in commit order for any number of
    -- processes. The number means nothing but this lock.
    perform pg_advisory_xact_lock(7248163301);

    select coalesce(array_agg(w.place::int order by w.place), '{}'), coalesce(array_agg(w.append), '{}')
    into stale_writes, stale_appends
    from unnest(write_appends, write_types, write_ids, write_expecteds) with ordinality
        as w (append, type, id, expected, place)
    where w.expected <> coalesce((
        select e.sequence from events e
        where e.aggregate_type = w.type and e.aggregate_id = w.id
        order by e.sequence desc limit 1
    ), 0);

    select coalesce(max(e.position), 0) into base from events e;

    insert into events (
        aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
        position, event_id, recorded_at
    )
    select n.aggregate_type, n.aggregate_id, n.sequence, n.event_type, n.event_version,
        n.payload::json, n.metadata::json, base + row_number() over (order by n.place), n.event_id, n.recorded_at
    from unnest(
        event_appends, aggregate_types, aggregate_ids, sequences, event_types, event_versions,
        payloads, metadatas, event_ids, recorded_ats
    ) with ordinality as n (
        append, aggregate_type, aggregate_id, sequence, event_type, event_version,
        payload, metadata, event_id, recorded_at, place
    )
    where n.append <> all (stale_appends);
end
$$;
