"""One module per family of calls; the table that binds them to paths is `sluice_gateway.app`."""
