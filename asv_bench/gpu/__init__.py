"""What a GPU says of `numconv.cuda`, by one command of less than 8 minutes: ``python -m asv_bench.gpu``."""
