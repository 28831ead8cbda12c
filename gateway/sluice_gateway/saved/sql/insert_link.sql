insert into permalink (id, path, used_time)
values (:id, :path, :used_time)
on conflict (id) do update set used_time = excluded.used_time
