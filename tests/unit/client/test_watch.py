"""When a supervised program is started again, counts as hung, or is given up."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from sluice_client.demo.probe import Health
from sluice_client.demo.watch import Program, RestartPolicy, Watched

POLICY = RestartPolicy(
    first_delay_s=0.2,
    max_delay_s=3.0,
    rapid_s=10.0,
    max_rapid_deaths=5,
    probe_every_s=2.0,
    start_probe_every_s=0.1,
    max_silence_s=30.0,
    max_start_s=180.0,
)


@dataclass
class FakeProcess:
    """A process that ends when a test says so."""

    pid: int
    code: int | None = None

    def exit_code(self) -> int | None:
        return self.code

    def stop(self, grace_s: float) -> bool:
        self.code = -9
        return False


@dataclass
class Plant:
    """A watched program, its processes so far and the sentences about it."""

    health: Health = Health.SERVING
    processes: list[FakeProcess] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)

    def watch(self) -> Watched:
        program = Program("cache", ["/bin/cache"], lambda: self.health)
        return Watched(program, self._start, self.sentences.append, POLICY)

    def _start(self, program: Program) -> FakeProcess:
        self.processes.append(FakeProcess(pid=100 + len(self.processes)))
        return self.processes[-1]

    def kill(self) -> None:
        self.processes[-1].code = -9


@pytest.fixture
def plant() -> Plant:
    return Plant()


def run(watched: Watched, start_s: float, end_s: float) -> None:
    """Step every tenth of a second through [start, end)."""
    for tenth in range(round(start_s * 10), round(end_s * 10)):
        watched.step(tenth / 10)


def test_the_first_step_starts_the_program(plant: Plant) -> None:
    plant.watch().step(0.0)
    assert len(plant.processes) == 1


def test_a_death_after_long_life_is_followed_by_a_start_within_a_second(plant: Plant) -> None:
    watched = plant.watch()
    run(watched, 0, 60)
    plant.kill()
    run(watched, 60, 61)
    assert len(plant.processes) == 2


def test_the_wait_doubles_with_each_rapid_death(plant: Plant) -> None:
    watched = plant.watch()
    watched.step(0.0)
    plant.kill()
    watched.step(0.1)
    watched.step(0.4)
    plant.kill()
    watched.step(0.5)
    assert [sentence.rsplit(" ", 2)[1:] for sentence in plant.sentences] == [["0.2", "s"], ["0.4", "s"]]


def test_five_rapid_deaths_in_a_row_end_the_attempts(plant: Plant) -> None:
    watched = plant.watch()
    for second in range(0, 50, 5):
        watched.step(float(second))
        plant.kill()
    assert watched.given_up
    assert len(plant.processes) == 5


def test_a_long_life_forgives_earlier_rapid_deaths(plant: Plant) -> None:
    watched = plant.watch()
    for second in range(0, 40, 10):
        watched.step(float(second))
        plant.kill()
        watched.step(second + 1.0)
    run(watched, 40, 80)
    plant.kill()
    run(watched, 80, 82)
    plant.kill()
    run(watched, 82, 84)
    assert not watched.given_up


def test_a_program_that_stops_answering_is_killed_and_started_again(plant: Plant) -> None:
    watched = plant.watch()
    run(watched, 0, 10)
    plant.health = Health.SILENT
    run(watched, 10, 42)
    assert [process.code for process in plant.processes] == [-9, None]


def test_a_program_that_never_answers_is_killed_only_after_its_time_to_start(plant: Plant) -> None:
    plant.health = Health.SILENT
    watched = plant.watch()
    run(watched, 0, 180)
    assert [process.code for process in plant.processes] == [None]
    run(watched, 180, 182)
    assert [process.code for process in plant.processes] == [-9, None]


def test_a_program_that_answers_without_serving_is_left_alone(plant: Plant) -> None:
    plant.health = Health.NOT_SERVING
    watched = plant.watch()
    run(watched, 0, 90)
    assert len(plant.processes) == 1


def test_a_dead_program_does_not_count_as_serving(plant: Plant) -> None:
    watched = plant.watch()
    run(watched, 0, 20)
    plant.kill()
    watched.step(20.0)
    assert watched.health is Health.SILENT


def test_a_restart_is_told_from_death_to_return(plant: Plant) -> None:
    watched = plant.watch()
    run(watched, 0, 20)
    plant.kill()
    run(watched, 20, 21)
    assert plant.sentences[0] == "cache was ended by signal 9; starting it again in 0.2 s"
    assert plant.sentences[1].startswith("cache serves again")


def test_the_first_start_is_not_told(plant: Plant) -> None:
    run(plant.watch(), 0, 20)
    assert plant.sentences == []
