"""The whole suite on one machine, for a first look and for tests: which programs, who watches them, what is said.

Nothing here is needed where the processes are run by systemd, Docker or Kubernetes.
"""
