"""What every Sluice process needs to speak gRPC: errors, interceptors, servers, channels, settings, logs, Arrow.

A module lives here only if every process needs it. Nothing here knows a dataset, a frame or a page.
"""
