"""Memory: tables, the unit of work over them, migrations, the embedded queue, the catalog of runbook files.

Storage knows the engine and nothing else of ours. It decides nothing: it keeps what the engine decided, and
refuses what contradicts itself.
"""
