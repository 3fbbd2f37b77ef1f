-- How far each webhook has been delivered, and what it is signed with: aside from the log, where everybody can read,
-- and where a delivery would be an event to deliver. Losing the last second of the progress delivers some events
-- again; losing the secret pauses the webhook.
create table webhook_deliveries (
    -- The webhook.
    webhook_id text   primary key,
    -- The key of its signatures, as it was given.
    secret     text   not null,
    -- Every event up to here was delivered, or is not wanted.
    position   bigint not null,
    -- JSON, opaque to the database: the last attempts, and when the next one is due.
    progress   text   not null
) with (fillfactor = 50);
