"""The campaign: everything that could break numconv, tried and counted.

    python -m tests.campaign --seconds 3600 --markdown

Each part is a module with ``run(budget)``, which yields rows of the table. Whatever may abort or hang runs in a process
of its own with a time limit (`child`); an abort or a hang is a failure that is counted, not the end.
"""
