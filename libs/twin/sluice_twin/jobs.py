"""Repair jobs of machines: `DW_MES_JOB`, the transactions that moved them on, and the spare parts they asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sluice_twin.columns import NO_TIME, NONE, IdArray, Ints, Rows, coded, ids, make_ids, numbers, refs, slices, times
from sluice_twin.lots import Lots
from sluice_twin.machines import Machines
from sluice_twin.plant import DAY_S, END_S, PlantSpec, busy_times
from sluice_twin.words import people, words

COMPLETE, CANCELLED = 4, 5


@dataclass(frozen=True)
class Jobs:
    """All jobs in order of creation; `state` counts within `job_states`."""

    ids: IdArray
    names: list[str]
    machine: Ints
    created: Ints
    lasting_s: Ints
    state: Ints

    @property
    def ended(self) -> Ints:
        """When each job was completed or cancelled, `NO_TIME` while it is open."""
        return np.where(self.state >= COMPLETE, self.created + self.lasting_s, NO_TIME)


def make_jobs(spec: PlantSpec, machines: Machines) -> Jobs:
    """The jobs of a plant: nearly all complete, some cancelled, those of the last days in any state."""
    count = spec.row_count("DW_MES_JOB")
    rng = spec.random("DW_MES_JOB")
    created = busy_times(rng, count)
    lasting = np.clip(rng.lognormal(np.log(4 * 3_600), 1.1, count), 600, 20 * DAY_S).astype(np.int64)
    state = np.where(rng.random(count) < 0.05, CANCELLED, COMPLETE)
    unfinished = (created + lasting >= END_S) | (np.arange(count) >= count - 5)
    return Jobs(
        ids=make_ids(0x4890, np.arange(count), spec.seed),
        names=[f"JO-{number:06d}" for number in range(count)],
        machine=rng.integers(0, machines.equipment, count),
        created=created,
        lasting_s=lasting,
        state=np.where(unfinished, np.arange(count) % COMPLETE, state),
    )


def job_rows(lots: Lots, machines: Machines, jobs: Jobs) -> Iterator[Rows]:
    """`DW_MES_JOB`: one row per job; a third name the lots they touched, one to three ids in one text."""
    for part in slices(len(jobs.names)):
        number = np.arange(part.start, part.stop)
        yield {**_job_columns(machines, jobs, number), **_lot_columns(lots, number)}


def _job_columns(machines: Machines, jobs: Jobs, number: Ints) -> Rows:
    state, ended = jobs.state[number], jobs.ended[number]
    done, cancelled = state == COMPLETE, state == CANCELLED
    short = [name.split()[0] for name in people()]
    person = number % len(short)
    return {
        "JOBID": ids(jobs.ids[number]),
        "RESOURCEID": refs(machines.ids, jobs.machine[number]),
        "RESOURCENAME": coded(machines.names, jobs.machine[number]),
        "JOBSTATUS": coded(words("job_states"), state),
        "JOBMODELNAME": coded(words("job_models"), number % 4),
        "JOBORDERNAME": coded(jobs.names, number),
        "CREATEDATE": times(jobs.created[number]),
        "COMPLETEDATE": times(np.where(done, ended, NO_TIME)),
        "CANCELDATE": times(np.where(cancelled, ended, NO_TIME)),
        "FIRSTCLOCKONDATE": times(np.where(state >= 3, jobs.created[number] + 300, NO_TIME)),
        "LASTCLOCKOFFDATE": times(np.where(done, ended - 60, NO_TIME)),
        "SYMPTOMCODENAME": coded(words("symptoms"), number % 6),
        "CAUSECODENAME": coded(words("causes"), np.where(done, number % 5, NONE)),
        "REPAIRCODENAME": coded(words("repairs"), np.where(done, number % 4, NONE)),
        "CREATE_EMPNAME": coded(short, person),
        "COMPLETE_EMPNAME": coded(short, np.where(done, person, NONE)),
        "CREATE_FULLNAME": coded(people(), person),
        "COMPLETE_FULLNAME": coded(people(), np.where(done, person, NONE)),
        "ACKNOWLEDGECOUNT": numbers((state >= 2).astype(np.int64)),
        "CLOCKONCOUNT": numbers((state >= 3).astype(np.int64)),
    }


def _lot_columns(lots: Lots, number: Ints) -> Rows:
    chosen = lots.in_process[(number * 17) % len(lots.in_process)]
    texts: list[str | None] = []
    names: list[str | None] = []
    for job, first in zip(number.tolist(), chosen.tolist(), strict=True):
        touched = [max(first - step, 0) for step in range(job % 3 + 1)] if job % 3 == 0 or job % 7 == 1 else []
        texts.append(",".join(lots.ids[lot].decode().rstrip() for lot in touched) or None)
        names.append(",".join(lots.names[lot] for lot in touched) or None)
    return {"CONTAINERIDS": coded(texts, number - number[0]), "CONTAINERNAMES": coded(names, number - number[0])}


def job_transaction_rows(spec: PlantSpec, jobs: Jobs) -> Iterator[Rows]:
    """`DW_MES_JOBTXNHISTORY`: five transactions a job, or as many as the table's size allows, job by job."""
    count = spec.row_count("DW_MES_JOBTXNHISTORY")
    per_job = -(-count // len(jobs.names))
    states = [name.upper() for name in words("job_states")]
    for part in slices(count):
        number = np.arange(part.start, part.stop)
        job, step = number // per_job, number % per_job
        after = np.minimum(step, jobs.state[job])
        at = np.minimum(jobs.created[job] + jobs.lasting_s[job] * step // per_job, END_S - 1)
        yield {
            "JOBTXNHISTORYID": ids(make_ids(0x4891, number, spec.seed)),
            "HISTORYMAINLINEID": ids(make_ids(0x4892, number, spec.seed)),
            "JOBID": refs(jobs.ids, job),
            "TXNDATE": times(at),
            "FROMJOBSTATUS": coded(states, np.where(step == 0, NONE, np.maximum(after - 1, 0))),
            "JOBSTATUS": coded(states, after),
            "SYMPTOMCODENAME": coded(words("symptoms"), job % 6),
            "USER_EMPNO": coded([f"E{person:04d}" for person in range(100)], number % 100),
            "USER_NAME": coded(people(), number % len(people())),
            "COMMENTS": coded(words("release_comments"), np.where(number % 4 == 0, number % 5, NONE)),
            "CDONAME": coded(["JobTxn", "JobComplete"], (after == COMPLETE).astype(np.int64)),
            "JOBMODELNAME": coded(words("job_models"), job % 4),
            "JOBORDERNAME": coded(jobs.names, job),
        }


def part_request_rows(spec: PlantSpec, machines: Machines, jobs: Jobs) -> Rows:
    """`DW_MES_PARTREQUESTORDER`: spare parts asked for by jobs."""
    count = spec.row_count("DW_MES_PARTREQUESTORDER")
    number = np.arange(count)
    job = np.sort(number * 5 % len(jobs.names))
    return {
        "PARTREQUESTORDERID": ids(make_ids(0x4893, number, spec.seed)),
        "PARTREQUESTORDERNAME": coded([f"PR-{request:06d}" for request in range(count)], number),
        "JOBID": refs(jobs.ids, job),
        "RESOURCEID": refs(machines.ids, jobs.machine[job]),
        "RESOURCENAME": coded(machines.names, jobs.machine[job]),
        "REQUESTSTATUS": coded(["Open", "Issued", "Closed"], number % 3),
        "REQUESTTYPE": numbers(number % 2),
        "ISDONE": numbers((number % 3 == 2).astype(np.int64)),
        "CREATIONDATE": times(jobs.created[job] + 900),
        "USER_NAME": coded(people(), number % len(people())),
    }
