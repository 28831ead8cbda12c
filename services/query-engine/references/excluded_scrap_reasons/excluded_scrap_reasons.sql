-- One row per loss reason, code or whole name, that is enabled in the plant's list of exclusions. Key: reason.
-- Upper case and trimmed, since the list is kept by hand. Binds: none; some 40 rows.
select upper(trim(REASON_NAME)) as reason
from DWH.ERP_PJ_WIP_SCRAP_REASONS_EXCLUDE
where ENABLE_FLAG = 'Y'
  and length(trim(REASON_NAME)) > 0
group by upper(trim(REASON_NAME))
order by upper(trim(REASON_NAME))
