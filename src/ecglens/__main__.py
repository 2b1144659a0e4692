"""``python -m ecglens``."""

from ecglens.cli import main

main()
