"""Workloads that compare Sluice with an anchor measured in the same run: `make bench`."""
