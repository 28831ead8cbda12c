-- One row per lot named in :ids that a snapshot of the floor ever showed with a workflow. Key: lot_id. Binds: :ids,
-- :row_limit. Read by the index on CONTAINERNAME: the table has none on the container's key. A lot may have been shown
-- with several: the first by name stands for it.
select
    w.CONTAINERNAME as lot_id,
    min(trim(w.WORKFLOWNAME)) as workflow
from DWH.DW_MES_WIP w
where w.CONTAINERNAME in (:ids)
  and length(trim(w.WORKFLOWNAME)) > 0
group by w.CONTAINERNAME
fetch first :row_limit rows only
