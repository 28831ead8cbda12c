-- Views under a name, and short links, each with when somebody last opened it.
create table if not exists saved_view (
  id text primary key,
  owner text not null,
  shared integer not null,
  name text not null,
  note text not null,
  path text not null,
  created_time text not null
) strict;
create index if not exists saved_view_by_owner on saved_view (owner);
create table if not exists permalink (
  id text primary key,
  path text not null,
  used_time text not null
) strict;
create index if not exists permalink_by_use on permalink (used_time);
