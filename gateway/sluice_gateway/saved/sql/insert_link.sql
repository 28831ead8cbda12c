-- Keeps an address under its link, or says that the link was used again.
insert into permalink (id, path, used_time)
values (:id, :path, :used_time)
on conflict (id) do update set used_time = excluded.used_time
