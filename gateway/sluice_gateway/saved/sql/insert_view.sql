-- Keeps a view.
insert into saved_view (id, owner, shared, name, note, path, created_time)
values (:id, :owner, :shared, :name, :note, :path, :created_time)
