"""Sweeps: models × precisions × runtimes × devices × threads from one TOML file, resumed where they stop."""
