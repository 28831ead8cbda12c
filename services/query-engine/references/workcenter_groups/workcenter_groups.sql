-- One row per work centre: the group that charts show it in and the group's place in the flow. Key: workcenter.
-- The dictionary has one row per step, so a work centre occurs many times. Sequences are text there ('10' sorts before
-- '9') and not always a number: whatever is not 1 to 9 digits counts as 999, after all others. Of several groups the
-- first in the flow wins, then the first by name. Binds: none; the dictionary has some 230 rows.
-- `length` of a blank is NULL to Oracle and 0 to DuckDB, so blanks fail `> 0` in both. The leading # makes a text of
-- digits come out as '#' in both, where Oracle would turn an empty text into NULL.
with step as (
    select
        trim(WORK_CENTER) as workcenter,
        trim(WORK_CENTER_GROUP) as workcenter_group,
        case
            when length(trim(WORKCENTERSEQUENCE_GROUP)) between 1 and 9
             and translate('#' || trim(WORKCENTERSEQUENCE_GROUP), '#0123456789', '#') = '#'
            then cast(trim(WORKCENTERSEQUENCE_GROUP) as integer)
            else 999
        end as group_sequence
    from DWH.DW_MES_SPEC_WORKCENTER_V
    where length(trim(WORK_CENTER)) > 0
      and length(trim(WORK_CENTER_GROUP)) > 0
),

ranked as (
    select
        workcenter,
        workcenter_group,
        group_sequence,
        row_number() over (partition by workcenter order by group_sequence, workcenter_group) as choice
    from step
)

select workcenter, workcenter_group, group_sequence
from ranked
where choice = 1
order by workcenter
