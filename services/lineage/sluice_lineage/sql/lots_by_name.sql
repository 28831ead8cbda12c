-- One row per lot that has one of the given names; names need not be unique. Key: container_id.
-- No times. Binds: ids = names. CONTAINERNAME is indexed.
select
    c.CONTAINERID as container_id,
    c.SPLITFROMID as parent_id,
    c.CONTAINERNAME as container_name,
    c.MFGORDERNAME as mfgorder_name,
    c.OBJECTTYPE as object_type,
    c.FIRSTNAME as first_name,
    c.ORIGINALCONTAINERID as original_id
from DWH.DW_MES_CONTAINER c
where c.CONTAINERNAME in (:ids)
    and c.OBJECTTYPE = 'LOT'
