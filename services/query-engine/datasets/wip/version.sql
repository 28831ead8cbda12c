-- One row: when the plant made its snapshot, and how many lots are in it. Binds: none.
select
    max(v.SYS_DATE) as version,
    count(*) as row_count
from DWH.DW_MES_LOT_V v
