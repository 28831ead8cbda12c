-- One row per given container that the warehouse knows. Key: container_id. parent_id is NULL for a lot never split.
-- No times. Binds: ids = container ids, blank-padded to 16.
select
    c.CONTAINERID as container_id,
    c.SPLITFROMID as parent_id,
    c.CONTAINERNAME as container_name,
    c.MFGORDERNAME as mfgorder_name,
    c.OBJECTTYPE as object_type,
    c.FIRSTNAME as first_name,
    c.ORIGINALCONTAINERID as original_id
from DWH.DW_MES_CONTAINER c
where c.CONTAINERID in (:ids)
