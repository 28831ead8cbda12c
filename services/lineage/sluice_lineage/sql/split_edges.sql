-- One row per lot that was split from another: all of them. Key: container_id. No times, no binds.
-- Read once in place of many scans by SPLITFROMID, which has no index.
select
    c.CONTAINERID as container_id,
    c.SPLITFROMID as parent_id
from DWH.DW_MES_CONTAINER c
where c.SPLITFROMID is not null
