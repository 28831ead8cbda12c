-- One row per lot that was split from another: ten of them, whichever come first. Key: id. No times, no binds.
-- For the doctor, which walks up from them by both texts of split_ancestors.sql.
select c.CONTAINERID as id
from DWH.DW_MES_CONTAINER c
where c.SPLITFROMID is not null
fetch first 10 rows only
