"""What happens, in what order: Prefect flows and the `xray` command."""
