-- One row per container on the way from the given containers up through the lots they were split from, the given ones
-- included. Key: container_id. parent_id is NULL for a lot that was never split; the parent of a last row may have no row.
-- No times. Binds: ids = container ids, blank-padded to 16; max_depth = rows of a walk, the given container included.
--
-- The table is walked by the unique index on CONTAINERID. Both texts give the same rows: the depth in the second ends a
-- cycle as NOCYCLE does in the first. Oracle runs either; DuckDB has no CONNECT BY.

-- alternative: connect_by
select distinct
    c.CONTAINERID as container_id,
    c.SPLITFROMID as parent_id,
    c.CONTAINERNAME as container_name,
    c.MFGORDERNAME as mfgorder_name,
    c.OBJECTTYPE as object_type,
    c.FIRSTNAME as first_name,
    c.ORIGINALCONTAINERID as original_id
from DWH.DW_MES_CONTAINER c
start with c.CONTAINERID in (:ids)
connect by nocycle c.CONTAINERID = prior c.SPLITFROMID and level <= :max_depth
order by container_id, parent_id

-- alternative: recursive_with
with walk (
    container_id, parent_id, container_name, mfgorder_name, object_type, first_name, original_id, depth
) as (
    select
        c.CONTAINERID, c.SPLITFROMID, c.CONTAINERNAME, c.MFGORDERNAME, c.OBJECTTYPE, c.FIRSTNAME,
        c.ORIGINALCONTAINERID, 1
    from DWH.DW_MES_CONTAINER c
    where c.CONTAINERID in (:ids)
    union all
    select
        c.CONTAINERID, c.SPLITFROMID, c.CONTAINERNAME, c.MFGORDERNAME, c.OBJECTTYPE, c.FIRSTNAME,
        c.ORIGINALCONTAINERID, w.depth + 1
    from walk w
    join DWH.DW_MES_CONTAINER c on c.CONTAINERID = w.parent_id
    where w.depth < :max_depth
)
select distinct container_id, parent_id, container_name, mfgorder_name, object_type, first_name, original_id
from walk
order by container_id, parent_id
