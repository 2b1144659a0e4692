"""Work shared out gives what work done here gives, in the same order."""

import pytest

from ecglens.processes import cores, spread


def square(number: int) -> int:
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number * number


def test_results_come_in_order_from_any_number_of_workers() -> None:
    numbers = list(range(40))
    expected = [number * number for number in numbers]
    for workers in (1, 2):
        assert list(spread(square, numbers, workers, chunk=3)) == expected
    assert list(spread(square, [], 2)) == []


def test_an_error_in_another_process_is_raised_here() -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        list(spread(square, [1, 2, -1, 3], 2, chunk=1))


def test_there_is_a_core_to_run_on() -> None:
    assert cores() >= 1
