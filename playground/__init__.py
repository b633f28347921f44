"""The playground: outside systems rebuilt on this machine, so that the bot can be tried without accounts.

Nothing in the product imports this package, and nothing here may reach beyond loopback.
"""
