select id, name, note, path, owner, shared, created_time
from saved_view
where id = :id and (owner = :owner or shared)
