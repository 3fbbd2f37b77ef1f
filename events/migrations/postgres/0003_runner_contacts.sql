-- When each runner was last heard of, by whichever replica: written in batches, aside from the log. Losing the last
-- second of it loses nothing, since contact goes on.
create table runner_contacts (
    -- The runner.
    runner_id text        primary key,
    -- By the clock of this database, which all replicas share.
    heard_at  timestamptz not null
) with (fillfactor = 50);
