-- Keeps a view as it is now; whose it is and when it was made stays.
update saved_view
set name = :name, note = :note, path = :path, shared = :shared
where id = :id
