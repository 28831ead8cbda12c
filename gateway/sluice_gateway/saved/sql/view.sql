-- A view, if this owner may see it.
select id, name, note, path, owner, shared, created_time
from saved_view
where id = :id and (owner = :owner or shared)
