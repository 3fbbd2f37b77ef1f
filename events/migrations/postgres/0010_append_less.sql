-- As `append_events` of before, which replicas that are still to be restarted go on calling, but for what cost as much
-- as the storing itself: a table function a column, a composite result, a page of the index read for its last entry,
-- and texts that were checked to be JSON while the append lock was held. A batch with a stale write is the caller's to
-- sort out, as it is where the first event of a write meets the primary key: it looks for the stale writes, and
-- repeats the others.
create function append_events(
    -- The streams whose version is to be looked up, and which it must be. A stream never shrinks: where the caller
    -- knows that it has reached the version expected, it can only have moved further, and then the first event of the
    -- write meets the primary key. So what is looked up has no event, or is not known.
    stream_types     text[],
    stream_ids       text[],
    versions         bigint[],
    -- One element an event, in order.
    aggregate_types  text[],
    aggregate_ids    text[],
    sequences        bigint[],
    event_types      text[],
    event_versions   text[],
    payloads         json[],
    metadatas        json[],
    event_ids        uuid[],
    recorded_ats     timestamptz[],
    -- The last position is at least this: where to look for it.
    known_head       bigint
)
-- The position before the first event stored. Null where a stream is not at its version: then nothing was stored.
returns bigint
language plpgsql
as $$
declare
    base bigint;
begin
    -- Held to the end of the transaction, which is after the commit is visible: whoever takes the lock next sees
    -- these events, and numbers its own after them. So positions are dense and in commit order for any number of
    -- processes. The number means nothing but this lock. It is never null: an expression is cheaper than a query.
    if pg_advisory_xact_lock(7248163301) is null then
        return null;
    end if;

    -- Apart: a condition that has a query in it is run as one, whether the query is reached or not.
    if cardinality(stream_ids) > 0 then
        if exists (
            select from unnest(stream_types, stream_ids, versions) as s (type, id, version)
            where s.version <> coalesce((
                select e.sequence from events e
                where e.aggregate_type = s.type and e.aggregate_id = s.id
                order by e.sequence desc limit 1
            ), 0)
        ) then
            return null;
        end if;
    end if;

    select max(e.position) into base from events e where e.position >= known_head;
    -- Nothing there: the log was put back to what it had been.
    if base is null then
        select coalesce(max(e.position), 0) into base from events e;
    end if;

    -- Side by side in the list of results, the arrays are read in step, and none is copied into a table first.
    insert into events (
        aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
        position, event_id, recorded_at
    )
    select unnest(aggregate_types), unnest(aggregate_ids), unnest(sequences), unnest(event_types),
        unnest(event_versions), unnest(payloads), unnest(metadatas),
        generate_series(base + 1, base + cardinality(sequences)), unnest(event_ids), unnest(recorded_ats);
    return base;
end
$$;

-- They were taken apart and planned anew with each statement. What they asked for holds by construction: versions and
-- positions are counted up from 0, and the primary key and the unique position keep that so.
alter table events drop constraint events_sequence_check, drop constraint events_position_check;

-- What tells streams apart comes first: half of the comparisons on the way to a place in the index were of equal types.
-- Builds the index anew, under a lock: seconds for each million events.
alter table events
    drop constraint events_stream_sequence,
    add constraint events_stream_sequence primary key (aggregate_id, aggregate_type, sequence);
