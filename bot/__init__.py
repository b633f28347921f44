"""The application: people, process and wiring. Everything outside the core that is not a machine or a row."""
