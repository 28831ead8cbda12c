"""What stands outside the suite: the Python client, the `sluice` command, and the demo that runs every process.

The client and the command only speak the suite's public contracts (gRPC and HTTP); nothing here imports a process.
"""
