-- One row per lot in process.
select LOTID as lot_id, WORKCENTERNAME as workcenter, QTY as qty
from DWH.DW_MES_LOT_V
fetch first :row_limit rows only
