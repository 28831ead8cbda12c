-- Forgets a view.
delete from saved_view where id = :id
