-- What an owner keeps and what others share, newest first.
select id, name, note, path, owner, shared, created_time
from saved_view
where owner = :owner or shared
order by created_time desc, id
limit 2000
