-- The address behind a link that somebody opened since then.
select path, used_time from permalink where id = :id and used_time >= :oldest
