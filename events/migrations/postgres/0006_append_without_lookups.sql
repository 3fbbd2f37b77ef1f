-- As `append_events` of before, which replicas that are still to be restarted go on calling, but for what a batch need
-- not pay: a lookup of the version of each stream, and numbering rows that are numbered already.
--
-- A stream never shrinks. Where the caller knows that it has reached the version expected, it can only have moved
-- further; then the first event of the write meets the primary key, the call fails as a whole, and the caller repeats
-- it with a lookup of every stream.
create function append_events(
    -- One element a stream of an append, with or without events: its append, its name, the version it must be at, and
    -- whether that is to be looked up. Without events, it always is.
    write_appends    int[],
    write_types       text[],
    write_ids         text[],
    write_expecteds   bigint[],
    write_lookups     boolean[],
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

    stale_writes := '{}';
    if true = any (write_lookups) then
        select coalesce(array_agg(w.place::int order by w.place), '{}'), array_agg(w.append)
        into stale_writes, stale_appends
        from unnest(write_appends, write_types, write_ids, write_expecteds, write_lookups) with ordinality
            as w (append, type, id, expected, lookup, place)
        where w.lookup and w.expected <> coalesce((
            select e.sequence from events e
            where e.aggregate_type = w.type and e.aggregate_id = w.id
            order by e.sequence desc limit 1
        ), 0);
    end if;

    -- What is stale leaves, so that the place of an event that stays is its distance from the base.
    if stale_appends is not null then
        select array_agg(n.aggregate_type order by n.place), array_agg(n.aggregate_id order by n.place),
            array_agg(n.sequence order by n.place), array_agg(n.event_type order by n.place),
            array_agg(n.event_version order by n.place), array_agg(n.payload order by n.place),
            array_agg(n.metadata order by n.place), array_agg(n.event_id order by n.place),
            array_agg(n.recorded_at order by n.place)
        into aggregate_types, aggregate_ids, sequences, event_types, event_versions, payloads, metadatas, event_ids,
            recorded_ats
        from unnest(
            event_appends, aggregate_types, aggregate_ids, sequences, event_types, event_versions,
            payloads, metadatas, event_ids, recorded_ats
        ) with ordinality as n (
            append, aggregate_type, aggregate_id, sequence, event_type, event_version,
            payload, metadata, event_id, recorded_at, place
        )
        where n.append <> all (stale_appends);
    end if;

    select coalesce(max(e.position), 0) into base from events e;

    insert into events (
        aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
        position, event_id, recorded_at
    )
    select n.aggregate_type, n.aggregate_id, n.sequence, n.event_type, n.event_version,
        n.payload::json, n.metadata::json, base + n.place, n.event_id, n.recorded_at
    from unnest(
        aggregate_types, aggregate_ids, sequences, event_types, event_versions,
        payloads, metadatas, event_ids, recorded_ats
    ) with ordinality as n (
        aggregate_type, aggregate_id, sequence, event_type, event_version,
        payload, metadata, event_id, recorded_at, place
    );
end
$$;
