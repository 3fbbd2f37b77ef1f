-- Read models keep their columns in another form now: they are made anew from the log.
do $$
declare
    generation text;
begin
    if to_regclass('checkpoints') is not null then
        for generation in select c.projection || '_g' || c.generation from checkpoints c loop
            execute format('drop table if exists %I', generation);
        end loop;
    end if;
end
$$;
drop table if exists checkpoints, parked_streams, skipped_events;
