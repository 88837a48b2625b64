"""What asv runs: the workloads of ``python -m numconv bench``, and what only makes sense over commits."""

from numconv._bench import passive_threads

passive_threads()
