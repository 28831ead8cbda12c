-- One row per container whose work order has one of these names. Key: container_id. matched is what it was found by. No
-- times. Binds: tokens = names, at most a thousand, unpadded. Read by the index on MFGORDERNAME.
select
    c.CONTAINERID as container_id,
    c.CONTAINERNAME as lot_id,
    c.MFGORDERNAME as matched,
    c.SPECNAME as spec_name,
    c.QTY as qty
from DWH.DW_MES_CONTAINER c
where c.MFGORDERNAME in (:tokens)
