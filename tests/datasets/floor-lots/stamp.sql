-- One row: when a row last changed, and how many there are.
select max(SYS_DATE) as version, count(*) as row_count from DWH.DW_MES_LOT_V
